"""What a name stands for that nobody has declared: functions, constants and kinds of layers."""

from __future__ import annotations

import math
from collections.abc import Mapping

from qrlang.check import (
    initial,
    pauli_functions,
    pointwise,
    reductions,
    sequence_functions,
    tensor_functions,
)
from qrlang.check.arguments import Args
from qrlang.check.core import Elaborator
from qrlang.check.function_table import Function
from qrlang.check.layer_kinds import LAYERS
from qrlang.check.observables import IDENTITY
from qrlang.check.values import Builtin, InitialValue, Mixed
from qrlang.syntax import ast

FUNCTIONS: Mapping[str, Function] = {
    **pointwise.FUNCTIONS,
    **reductions.FUNCTIONS,
    **pauli_functions.FUNCTIONS,
    **initial.FUNCTIONS,
    **tensor_functions.FUNCTIONS,
    **sequence_functions.FUNCTIONS,
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
