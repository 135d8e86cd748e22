"""`python -m bandtok`: the same as the program `bandtok`."""

from bandtok.cli.main import run

if __name__ == "__main__":
    run()
