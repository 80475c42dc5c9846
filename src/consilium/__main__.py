"""`python -m consilium`: the same as the command `consilium`."""

from consilium.cli import main

if __name__ == "__main__":
    main()
