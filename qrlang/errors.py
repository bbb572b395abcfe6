"""What a user can mend, whoever finds it: the command says it and ends, and tracebacks show it."""

from __future__ import annotations


class UserError(Exception):
    """`str(error)` says what is wrong, `help` what to do."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help
        if help:
            self.add_note(f"help: {help}")
