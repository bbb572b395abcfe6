"""Lines that give a name to something."""

from __future__ import annotations

from dataclasses import replace

from qrlang.check.algebra.numbers import is_number
from qrlang.check.binding.parameters import bind_params
from qrlang.check.classical.whole import integer
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.limits import MAX_SHOTS
from qrlang.check.core.values import (
    POISON,
    Definition,
    Layer,
    LayerSpec,
    Observable,
    Pending,
    Poison,
    Probs,
    Qubits,
    Readout,
    Tensor,
    describe,
)
from qrlang.check.layers.declaring import declare
from qrlang.check.quantum.observed import readable
from qrlang.syntax import ast


def let(e: Elaborator, node: ast.Let) -> None:
    value = e.eval(node.value)
    if isinstance(value, LayerSpec):
        e.error(
            "E0608",
            node.value,
            "a layer is declared, not let",
            help=f"`layer {node.name} = {node.value.span.text}`, outside of the step",
        )
        value = POISON
    e.scope.names[node.name] = value
    e.scope.lets.add(node.name)
    if isinstance(value, Tensor):
        e.fact(node.span, node.name, str(value.type))


def const(e: Elaborator, node: ast.Const) -> None:
    value = e.eval(node.value)
    if isinstance(value, (Tensor, Pending, Qubits)):
        value = e.error(
            "E0303",
            node.value,
            f"a constant must be known at compile time, found {describe(value)}",
            help=f"use `let {node.name} = …`",
        )
    e.scope.names[node.name] = value


def readout(e: Elaborator, node: ast.Readout) -> None:
    value = e.eval(node.value)
    found = value if isinstance(value, Poison) else readable(e, value, node.value)
    shots, weak = 0, 0.0
    if node.shots is not None:
        number = integer(e, node.shots, "the number of shots")
        if number is not None and number < 1:
            e.error("E0311", node.shots, f"the number of shots must be above 0, found {number}")
            number = None
        if number is not None and number > MAX_SHOTS:
            e.error("E0307", node.shots, f"the number of shots is over the limit of {MAX_SHOTS}")
            number = None
        shots = number or 0
    if node.weak is not None:
        strength = e.eval(node.weak)
        if not is_number(strength) or not 0 < strength <= 1:
            if not isinstance(strength, Poison):
                e.error(
                    "E0510",
                    node.weak,
                    "the strength of a weak measurement lies above 0, up to 1, "
                    f"found {describe(strength)}",
                )
        else:
            weak = float(strength)
        if isinstance(found, Probs):
            e.error(
                "E0208",
                node.value,
                "a weak readout is of observables, not of a distribution",
                help="read `[Z(q[i]) for i in 0..n]` weakly, or `probs` without `weak`",
            )
    if isinstance(found, Poison):
        e.scope.names[node.name] = POISON
        return
    e.scope.names[node.name] = Readout(node.name, found, shots, weak, node.span)
    width = (
        2 ** len(found.qubits.qubits)
        if isinstance(found, Probs)
        else (1 if isinstance(found, Observable) else len(found) if isinstance(found, tuple) else 0)
    )
    e.fact(node.span, node.name, f"readout: real[{width}]")


def ansatz_binding(e: Elaborator, node: ast.AnsatzBinding) -> None:
    value = e.eval(node.value)
    if not isinstance(value, Poison) and not (
        isinstance(value, Definition) and value.kind == "ansatz"
    ):
        help = ""
        if isinstance(value, Definition):
            help = f"declare it as what it is: `{value.kind.lower()} {node.name} = …`"
        value = e.error(
            "E0208", node.value, f"expected an ansatz, found {describe(value)}", help=help
        )
    if isinstance(value, Definition) and value.params is None:
        params = bind_params(e, value.item.params, value, node.value, None)
        value = POISON if params is None else replace(value, params=params)
    e.scope.names[node.name] = value


def layer(e: Elaborator, node: ast.Layer) -> None:
    found = declare(e, node)
    if isinstance(found, Layer) and e.here.frozen:
        found.frozen = True
    e.scope.names[node.name] = found
