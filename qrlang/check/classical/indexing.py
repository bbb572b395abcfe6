"""Elements and slices: of lists, registers and tensors."""

from __future__ import annotations

from math import prod

from qrlang.check.algebra.numbers import is_whole
from qrlang.check.classical.tensors import numeric, scalar
from qrlang.check.classical.whole import integer
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import (
    POISON,
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
from qrlang.ir.types import real
from qrlang.syntax import ast

SMALL = 4096  # up to here a slice stays a list of elements


def index(e: Elaborator, node: ast.Index) -> object:
    base = e.eval(node.base)
    if isinstance(base, Tensor):
        return _index_tensor(e, node, base)
    if isinstance(base, Qubits):
        items = _items(e, node, (len(base.qubits),), empty=True)
        if items is None:
            return POISON
        picked = items[0]
        if isinstance(picked, int):
            return Qubits((base.qubits[picked],), base.registers, single=True)
        return Qubits(tuple(base.qubits[i] for i in picked), base.registers)
    if isinstance(base, (tuple, range, str)):
        items = _items(e, node, (len(base),))
        if items is None:
            return POISON
        picked = items[0]
        return base[picked] if isinstance(picked, int) else tuple(base[i] for i in picked)
    if isinstance(base, Pending) and 0 < len(node.items) <= len(base.lead):
        items = _items(e, node, base.lead[: len(node.items)])
        if items is None or not all(isinstance(i, int) for i in items):
            return POISON
        of, rows = base.lead[: len(items)], base.lead[len(items) :]
        return Pending(base.key, rows, base.parts * prod(of))
    if isinstance(base, (Poison, Pending)):
        for item in node.items:
            if not isinstance(item, ast.Range):
                e.eval(item)
        return POISON
    read = isinstance(base, (Observable, Probs, Readout)) and "\n" not in node.span.text
    rest = node.span.text.removeprefix(node.base.span.text)
    return e.error(
        "E0310", node, f"{describe(base)} has no elements",
        help=f"of what is read: `(read {node.base.span.text}){rest}`" if read else "",
    )  # fmt: skip


def _items(
    e: Elaborator, node: ast.Index, shape: tuple[int, ...], empty: bool = False
) -> list[int | range | tuple[int, ...]] | None:
    """Each index checked against its dimension."""
    if len(node.items) > len(shape):
        e.error(
            "E0306",
            node,
            f"{len(node.items)} indices, but `{node.base.span.text}` has "
            + ("one dimension" if len(shape) == 1 else f"{len(shape)} dimensions")
            if shape
            else f"`{node.base.span.text}` is a single number: it has no elements",
        )
        return None
    out: list[int | range | tuple[int, ...]] = []
    for axis, item in enumerate(node.items):
        size = shape[axis]
        if isinstance(item, ast.Range):
            lo = 0 if item.lo is None else integer(e, item.lo, "a slice")
            hi = size if item.hi is None else integer(e, item.hi, "a slice")
            by = 1 if item.by is None else integer(e, item.by, "a stride")
            if lo is None or hi is None or by is None:
                return None
            if by <= 0:
                e.error("E0305", item, "the stride of a slice must be above 0")
                return None
            if not (0 <= lo <= size and 0 <= hi <= size):
                _out_of_range(e, node, item, f"{lo}..{hi}", size, axis, len(shape))
                return None
            if lo >= hi and not empty:
                e.error("E0311", item, f"this slice is empty: {lo}..{hi}")
                return None
            out.append(range(lo, hi, by))
            continue
        value = e.eval(item)
        if isinstance(value, (tuple, range)) and all(is_whole(v) for v in value):
            for v in value:
                if not 0 <= v < size:
                    _out_of_range(e, node, item, str(v), size, axis, len(shape))
                    return None
            if not value and not empty:
                e.error("E0311", item, "an empty list of indices")
                return None
            out.append(tuple(value))
            continue
        if not is_whole(value):
            if isinstance(value, (Tensor, Pending)):
                e.error(
                    "E0303",
                    item,
                    f"an index must be known at compile time, found {describe(value)}",
                    help="loops are unrolled: an index is made of loop variables and constants",
                )
            elif not isinstance(value, Poison):
                e.error(
                    "E0305",
                    item,
                    f"an index must be a whole number, found {describe(value)}",
                    help="`div` divides whole numbers" if "/" in item.span.text else "",
                )
            return None
        if not 0 <= value < size:
            _out_of_range(e, node, item, str(value), size, axis, len(shape))
            return None
        out.append(value)
    return out


def _out_of_range(
    e: Elaborator, node: ast.Index, item: ast.Node, shown: str, size: int, axis: int, rank: int
) -> None:
    base = node.base.span.text
    where = f"axis {axis} of `{base}`" if rank > 1 else f"`{base}`"
    allowed = f"0 to {size - 1}" if size > 1 else "only 0"
    help = "counting begins at 0"
    if isinstance(item, ast.Range):
        e.error(
            "E0306",
            item,
            f"the slice {shown} is out of range: {where} has {size} "
            + ("element" if size == 1 else "elements"),
        )
        return
    if isinstance(item, ast.Unary) and isinstance(item.operand, ast.Int):
        help = "counting begins at 0; the last "
        help += f"is `{base}[len({base}) - 1]`" if rank == 1 else f"index is {size - 1} here"
    elif "%" not in item.span.text and ("+" in item.span.text or "-" in item.span.text):
        help = f"let the loop end earlier, or wrap around: `({item.span.text}) % {size}`"
    e.error(
        "E0306",
        item,
        f"index {shown} is out of range: {where} has {size} "
        + ("element" if size == 1 else "elements")
        + f", {allowed}",
        help=help,
    )


def _index_tensor(e: Elaborator, node: ast.Index, t: Tensor) -> object:
    if not numeric(e, t, node.base):
        return POISON
    shape = t.type.shape
    items = _items(e, node, shape)
    if items is None:
        return POISON
    rest = shape[len(items) :]
    offset = 0
    if not rest and all(isinstance(i, int) for i in items):
        for i, d in zip(items, shape, strict=True):
            offset = offset * d + i  # type: ignore[operator]
        if t.value is None:
            return Tensor(t.type if t.type.kind == "bit" else real(), None, (t.elements[offset],))
        if t.value.type.kind == "bit":
            angle = ir.Angle(0.0, (ir.Term(1.0, t.value, offset),))
            return Tensor(type(t.type)("bit"), None, (angle,))
        return scalar(ir.Angle(0.0, (ir.Term(1.0, t.value, offset),)))
    axes = [(i,) if isinstance(i, int) else tuple(i) for i in items] + [
        tuple(range(d)) for d in rest
    ]
    new_shape = tuple(len(a) for a, i in zip(axes, items, strict=False) if not isinstance(i, int))
    new_shape += rest
    positions = [0]
    for axis, d in zip(axes, shape, strict=True):
        positions = [p * d + i for p in positions for i in axis]
    kind = t.type.kind
    type_ = type(t.type)(kind, new_shape)
    if t.value is None:
        return Tensor(type_, None, tuple(t.elements[p] for p in positions))
    if len(positions) == prod(t.value.type.shape) and positions == list(range(len(positions))):
        return Tensor(type_, t.value)
    if len(positions) <= SMALL and kind == "real":
        one = [ir.Angle(0.0, (ir.Term(1.0, t.value, p),)) for p in positions]
        return Tensor(type_, None, tuple(one))
    return Tensor(type_, e.builder.gather(t.value, tuple(positions), new_shape))
