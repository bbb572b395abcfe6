"""What is wrong with a trace."""

from __future__ import annotations

from qrlang.errors import TrainingError


class TraceError(TrainingError):
    """Said to the user as it is."""
