"""What a user can mend, whoever finds it: the command says it and ends, and tracebacks show it."""

from __future__ import annotations


class UserError(Exception):
    """`str(error)` says what is wrong, `help` what to do."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help
        if help:
            self.add_note(f"help: {help}")


class TrainingError(UserError):
    """Of a run: its settings, its folder, its numbers."""


# What can be wrong with data.
CODES = {
    "unknown-data": "there is no data set of that name",
    "bad-argument": "an argument of the data set has an impossible value",
    "missing-file": "a file lies in none of the places where it was looked for",
    "no-network": "a file had to be fetched and could not be",
    "wrong-checksum": "what was fetched is not what was expected",
    "malformed-file": "a file can't be read, or holds other arrays than it should",
    "bad-row": "a row of a CSV file can't be read",
    "wrong-column": "a column does not fit the model's `input` or `target` line",
    "bad-value": "a value is not a number, not finite, or outside its range",
    "empty-split": "there is nothing to train or test on",
    "outside-vocabulary": "a symbol has no number in the vocabulary",
    "not-permitted": "a manifest does not let this be read, or joined",
    "wrong-manifest": "a manifest can't be read, or does not fit its data: nothing is opened",
    "missing-package": "a Python package is needed that is not there",
}


class DataError(UserError):
    """Of data: `code` is one of `CODES`."""

    def __init__(self, code: str, message: str, help: str = "") -> None:
        assert code in CODES
        super().__init__(message, help)
        self.code = code
