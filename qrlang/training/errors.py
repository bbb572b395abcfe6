"""What goes wrong outside the program's text: data, disks, numbers that are none."""

from __future__ import annotations


class TrainingError(Exception):
    """`str(error)` says what is wrong, `help` what to do."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help


class Stopped(Exception):
    """Somebody pressed Ctrl-C: the batch was finished, and a checkpoint written."""
