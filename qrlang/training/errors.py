"""What goes wrong outside the program's text: data, disks, numbers that are none."""

from __future__ import annotations

from qrlang.errors import UserError


class TrainingError(UserError):
    """Of a run: its settings, its folder, its numbers."""


class Stopped(Exception):
    """Somebody pressed Ctrl-C: the batch was finished, and a checkpoint written."""
