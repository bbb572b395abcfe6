"""`python -m qrlang` is `qrlc`."""

from qrlang.cli import main

if __name__ == "__main__":
    main()
