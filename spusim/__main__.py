"""`python -m spusim` is the command line."""

from spusim.cli.main import main

if __name__ == "__main__":  # processes that a sweep starts load this file, too
    main()
