"""What cannot be probed."""

from __future__ import annotations

from qrlang.errors import TrainingError


class ProbeError(TrainingError):
    """Said to the user as it is: a diagnostic does not fit the model."""
