"""What the reference interpreter says when it can't go on."""

from __future__ import annotations

from qrlang.errors import UserError


class RunError(UserError):
    """A run that has no result: inputs that don't fit, numbers that are not finite, a limit."""
