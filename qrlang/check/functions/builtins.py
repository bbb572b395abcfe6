"""What a name stands for that nobody has declared: functions, constants and kinds of layers."""

from __future__ import annotations

import math
from collections.abc import Mapping

from qrlang.check.algebra.observables import IDENTITY
from qrlang.check.binding.arguments import Args
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.layer_kinds import LAYERS
from qrlang.check.core.values import Builtin, InitialValue, Mixed
from qrlang.check.functions import initial, paulis, pointwise, reductions, sequences, tensors
from qrlang.check.functions.table import Function
from qrlang.syntax import ast

FUNCTIONS: Mapping[str, Function] = {
    **pointwise.FUNCTIONS,
    **reductions.FUNCTIONS,
    **paulis.FUNCTIONS,
    **initial.FUNCTIONS,
    **tensors.FUNCTIONS,
    **sequences.FUNCTIONS,
}
BUILTINS: Mapping[str, object] = {
    **LAYERS,
    "pi": math.pi,
    "tau": math.tau,
    "I": IDENTITY,
    "mixed": Mixed(),
    "haar": InitialValue("haar", ()),
    **{name: Builtin(name) for name in FUNCTIONS},  # `dot` is a function, and a kind of attention
}


def call_function(e: Elaborator, thing: Builtin, node: ast.Call, args: Args) -> object:
    return FUNCTIONS[thing.name](e, node, args)
