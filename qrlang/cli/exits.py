"""Exit codes, and the exception that ends a command whose program is wrong."""

FINE, WRONG, USAGE, NOT_CALM, BUG, INTERRUPTED, PIPE = 0, 1, 2, 3, 70, 130, 141


class Wrong(Exception):
    """The program is wrong, and everything about it has been said."""
