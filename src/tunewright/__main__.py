"""`python -m tunewright` is the command `tunewright`; torchrun starts it so."""

from tunewright.cli.app import main

if __name__ == "__main__":
    main()
