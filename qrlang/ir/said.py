"""What an operation is called where somebody reads of it: in the language's words."""

from __future__ import annotations

from qrlang.ir.program import Op

_WORDS = {
    "ApplyMatrix": "a unitary that is a value",
    "Attend": "attention",
    "CallExtern": "a layer in Python",
    "Channel": "noise",
    "If": "`if` on a measured bit",
    "Last": "`last`",
    "Loop": "a recurrence",
    "Measure": "`measure`",
    "Pool": "`mean`, `sum` or `max` over time",
    "Postselect": "`postselect`",
    "Prepare": "`prepare`",
    "Reset": "`reset`",
    "Reverse": "`reversed`",
    "Shift": "`shifted`",
    "SoftmaxOver": "`softmax` over time",
    "UseWeight": "a trained tensor",
    "WeightedSum": "a weighted sum over time",
}


def said(op: Op) -> str:
    name = type(op).__name__
    return _WORDS.get(name, name.lower())
