"""`python -m occvino`: the command line, where `occvino` itself is not on the path."""

from occvino.cli import main

if __name__ == "__main__":
    main()
