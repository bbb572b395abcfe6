"""What can be wrong with data, said so that a person knows what to do."""

from __future__ import annotations

from qrlang.errors import UserError

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
    """`code` is one of `CODES`."""

    def __init__(self, code: str, message: str, help: str = "") -> None:
        assert code in CODES
        super().__init__(message, help)
        self.code = code
