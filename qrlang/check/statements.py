"""Statements: names, loops and choices."""

from __future__ import annotations

from dataclasses import replace

from qrlang.check import layers
from qrlang.check.builder import Block, finish
from qrlang.check.calls import bind_params
from qrlang.check.constants import is_number
from qrlang.check.core import MAX_SHOTS, STMT, Elaborator, Rejected, Scope
from qrlang.check.expressions import bit_angle, integer, is_bit
from qrlang.check.observed import readable
from qrlang.check.values import (
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
from qrlang.ir import program as ir
from qrlang.syntax import ast

# --- names ---


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
    found = layers.declare(e, node)
    if isinstance(found, Layer) and e.circuit_frozen and e.circuit_frozen[-1]:
        found.frozen = True
    e.scope.names[node.name] = found


# --- choices and loops at compile time; `if` on a bit ---


def if_(e: Elaborator, node: ast.If) -> None:
    condition = e.eval(node.condition)
    if isinstance(condition, Poison):
        return
    if isinstance(condition, bool):
        outer = e.inner()
        e.block(node.then if condition else node.orelse)
        e.scope = outer
        return
    if not is_bit(condition):
        help = "measure first: `let b = measure q[0]`, then `if b { … }`"
        if isinstance(condition, Tensor) and condition.type.kind == "bit":
            help = f"take one bit: `{node.condition.span.text}[0]`"
        elif isinstance(condition, (Tensor, Pending)):
            help = "`where(x, a, b)` chooses between values"
        e.error(
            "E0411",
            node.condition,
            "`if` needs a measured bit or a condition known at compile time, "
            f"found {describe(condition)}",
            help=help,
        )
        return
    if e.region == "ansatz" or e.capture is not None:
        e.error(
            "E0506",
            node,
            "an ansatz can't depend on a measured bit",
            help="put the `if` around `apply`, in the step",
        )
        return
    bit = bit_angle(condition)
    if not bit.terms:
        return
    term = bit.terms[0]
    branches = (node.then, node.orelse) if term.coefficient > 0 else (node.orelse, node.then)
    fresh = set(e.fresh)
    touched: set[int] = set()
    done: list[Block] = []
    e.in_if += 1
    for body in branches:
        e.fresh = set(fresh)
        e.builder.open()
        outer = e.inner()
        e.block(body)
        e.scope = outer
        done.append(e.builder.close())
        touched |= fresh - e.fresh
    e.in_if -= 1
    e.fresh = fresh - touched

    place = e.place_of(node)
    e.builder.quantum(ir.If(term.value, term.index, finish(done[0]), finish(done[1]), place))


def for_(e: Elaborator, node: ast.For) -> None:
    values = e.eval(node.range)
    if isinstance(values, Poison):
        return
    if not isinstance(values, (range, tuple)):
        help = f"write `0..{node.range.span.text}`" if is_number(values) else "write `0..n`"
        if isinstance(values, Tensor) and values.type.seq:
            help = "a sequence is run through by `step … in`"
        if isinstance(values, Qubits):
            help = f"run over its numbers: `for i in 0..{len(values.qubits)}`, and take `q[i]`"
        e.error(
            "E0305",
            node.range,
            f"a loop needs a range or a list, found {describe(values)}",
            help=help,
        )
        return
    outer = e.scope
    e.in_for += 1
    body = node.body
    try:
        for value in values:
            e.tick(node)
            e.scope = Scope(outer.module, outer, loop=True)
            e.scope.names[node.var] = value
            e.block(body)
    finally:
        e.scope = outer
        e.in_for -= 1


def require(e: Elaborator, node: ast.Require) -> None:
    condition = e.eval(node.condition)
    if isinstance(condition, Poison):
        return
    if not isinstance(condition, bool):
        e.error(
            "E0411",
            node.condition,
            f"`require` needs a condition known at compile time, found {describe(condition)}",
        )
        return
    if not condition:
        e.error("E0308", node, node.message, label="this does not hold")
        raise Rejected


STMT.update(
    {
        ast.Let: let,
        ast.Const: const,
        ast.Readout: readout,
        ast.AnsatzBinding: ansatz_binding,
        ast.Layer: layer,
        ast.If: if_,
        ast.For: for_,
        ast.Require: require,
    }
)
