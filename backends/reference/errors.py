"""What the reference interpreter says when it can't go on."""

from __future__ import annotations


class RunError(Exception):
    """A run that has no result: inputs that don't fit, numbers that are not finite, a limit."""
