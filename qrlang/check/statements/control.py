"""Choices and loops at compile time, and `if` on a measured bit."""

from __future__ import annotations

from qrlang.check.algebra.numbers import is_number
from qrlang.check.classical.bits import bit_angle, is_bit
from qrlang.check.core.blocks import Block, finish
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.limits import Rejected
from qrlang.check.core.values import Pending, Poison, Qubits, Tensor, describe
from qrlang.ir import program as ir
from qrlang.syntax import ast


def if_(e: Elaborator, node: ast.If) -> None:
    condition = e.eval(node.condition)
    if isinstance(condition, Poison):
        return
    if isinstance(condition, bool):
        with e.block():
            e.run(node.then if condition else node.orelse)
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
    if e.here.region == "ansatz" or e.here.capture is not None:
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
    done: list[Block] = []
    for body in e.qubits.either(branches):
        inside = e.here._replace(in_if=True)
        with e.builder.nested() as block, e.inside(inside), e.block():
            e.run(body)
        done.append(block)
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
    with e.block() as scope:
        for value in values:
            e.tick(node)
            scope.begin(node.var, value)
            e.run(node.body)


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
