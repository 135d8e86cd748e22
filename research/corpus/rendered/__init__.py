"""Public-domain tunes to a corpus of rendered music whose every attribute is known."""
