"""The `bandtok` program: thin faces over the package, one module a command."""
