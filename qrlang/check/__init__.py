"""From a syntax tree to programs: names, types, shapes, qubits' lives, and the IR.

The parts stand on one another, and each imports from those before it alone: `written` (what is read
off the tree), `core` (values, scopes, the program being built, the elaborator), `algebra`,
`classical`, `binding`, `layers`, `functions`, `quantum` and beside it `names`, `statements` and
`calls`. `walkers` puts them together into the language. On it stand `elaborate` (a model),
`definitions` (what is no model), `training` (its blocks) and `checker`: a whole file.
"""

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
