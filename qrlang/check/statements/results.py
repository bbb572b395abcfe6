"""What a step emits, and what a model and a circuit return."""

from __future__ import annotations

from qrlang.check.classical.tensors import as_tensor, of_value
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import POISON, Pending, Poison, Tensor
from qrlang.ir import program as ir
from qrlang.ir.types import seq
from qrlang.syntax import ast


def _result(e: Elaborator, node: ast.Emit | ast.Return) -> Tensor | None:
    value = e.eval(node.value)
    if isinstance(value, Poison):
        return None
    if isinstance(value, Pending):
        e.draft.output_pending = True
        return None
    if isinstance(value, Tensor) and value.type.kind in ("token", "class", "bit"):
        return value
    word = "emit" if isinstance(node, ast.Emit) else "return"
    t = as_tensor(e, value, node.value, f"a value to {word}")
    return t if isinstance(t, Tensor) else None


def emit(e: Elaborator, node: ast.Emit) -> None:
    t = _result(e, node)
    loop = e.here.body.writing
    if e.here.region != "step" or loop is None:
        e.error(
            "E0601",
            node,
            "`emit` belongs in a step: it hands out a value at each moment",
            help="`return` hands out a value at the end",
        )
        return
    if e.here.in_if:
        e.error(
            "E0609",
            node,
            "`emit` can't stand inside `if` on a measured bit",
            help="`emit where(bit, a, b)`",
        )
        return
    name = node.name or ""
    if name in loop.emitted:
        e.error(
            "E0603",
            node,
            f"`{name}` is emitted twice in one step" if name else "a step emits its output twice",
            help="put the values together: `emit concat(a, b)`",
        )
        return
    if t is not None and t.type.seq:
        e.error(
            "E0406",
            node.value,
            f"one moment is emitted at a time, found a whole sequence, {t.type}",
        )
        t = None
    if t is None:
        loop.emitted[name] = POISON
        if not name:
            e.draft.outputs.append((POISON, node.span))
        return
    value = e.builder.whole(t)
    out = e.builder.value(seq(value.type), name, node.span)
    e.builder.like(value, out)
    loop.emits.append(ir.LoopEmit(name, value, out))
    loop.emitted[name] = of_value(out)
    if not name:
        e.draft.outputs.append((of_value(out), node.span))


def return_(e: Elaborator, node: ast.Return) -> None:
    if e.here.region == "circuit":
        e.here.body.result = e.eval(node.value)
        return
    t = _result(e, node)
    if e.here.region != "model":
        e.error(
            "E0601",
            node,
            f"`return` can't stand in {_region(e.here.region)}",
            help="`emit` hands out a value at each step",
        )
        return
    e.draft.outputs.append((POISON if t is None else t, node.span))


def _region(region: str) -> str:
    return {"ansatz": "an ansatz", "step": "a step", "recurrent": "a recurrent block"}.get(
        region, "here"
    )
