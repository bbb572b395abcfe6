"""What is wrong with a trace."""

from __future__ import annotations

from qrlang.training.errors import TrainingError


class TraceError(TrainingError):
    """Said to the user as it is."""
