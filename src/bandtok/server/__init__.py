"""The HTTP server and the files of the web studio: `bandtok serve` (extra `bandtok[serve]`)."""
