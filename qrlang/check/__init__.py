"""From a syntax tree to programs: names, types, shapes, qubits' lives, and the IR."""

from qrlang.check.checker import check_file
from qrlang.check.library import Library
from qrlang.check.model import Checked, CheckedModel, Fact, GovernBlock, Place, Places, TrainBlock

__all__ = [
    "Checked",
    "CheckedModel",
    "Fact",
    "GovernBlock",
    "Library",
    "Place",
    "Places",
    "TrainBlock",
    "check_file",
]
