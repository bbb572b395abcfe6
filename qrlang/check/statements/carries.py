"""Values kept from step to step."""

from __future__ import annotations

from math import prod

from qrlang.check.algebra.numbers import is_number
from qrlang.check.classical.bits import as_bits
from qrlang.check.classical.lookup import unknown
from qrlang.check.classical.tensors import as_tensor, of_value, viewed
from qrlang.check.classical.types import declared
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import POISON, Carry, Pending, Poison, Tensor, describe
from qrlang.check.statements.tensors import open_shape
from qrlang.diagnostics import Note
from qrlang.ir import program as ir
from qrlang.ir.types import Type
from qrlang.syntax import ast


def carry(e: Elaborator, node: ast.Carry) -> None:
    name = e.here.prefix + node.name
    e.scope.names[node.name] = POISON
    shape = declared(e, node.type)
    thing: object = 0.0 if node.initial is None else e.eval(node.initial)
    if shape is None:
        return
    if shape.kind not in ("real", "bit") or shape.seq:
        e.error(
            "E0213",
            node.type,
            f"a carry holds numbers or bits, not {shape}",
            help="`carry h: real[n] = 0`",
        )
        return
    if not shape.known and isinstance(thing, (Tensor, tuple)):
        first = as_tensor(e, thing, node.initial or node)
        dims = shape.solve(first.type.count) if isinstance(first, Tensor) else None
    else:
        dims = open_shape(e, name, shape, node.span, "carry")
    type_ = Type(shape.kind, dims or ())
    found = Carry(node.name, type_, POISON, node.span)
    e.scope.names[node.name] = found
    e.here.body.carries.append(found)
    if dims is None or isinstance(thing, Poison):
        return
    if is_number(thing):
        if not e.fits(dims, node):
            return
        # One constant for all: kept as one value, whatever its size.
        if shape.kind == "bit" and thing not in (0, 1):
            e.error("E0408", node.initial or node, f"a bit begins as 0 or 1, found {thing}")
            return
        start = e.builder.value(type_)
        e.builder.classical(ir.Const(start, (float(thing),) * prod(dims)))
        found.now = of_value(start)
    elif isinstance(thing, Pending):
        e.widths.want(thing, dims, node.span)
        return
    else:
        t = _carried(e, thing, shape.kind, node.initial or node)
        if not isinstance(t, Tensor):
            return
        if t.type.count != prod(dims) or t.type.seq or not _fits_carry(t, type_):
            e.error(
                "E0408",
                node.initial or node,
                f"the carry `{node.name}` is {type_}, but begins as {t.type}",
                notes=[Note(f"`{node.name}` is declared here", node.type.span)],
            )
            return
        found.now = viewed(t, dims)
    e.draft.names[name] = node.span
    e.fact(node.span, node.name, f"carry: {type_}")


def _carried(e: Elaborator, thing: object, kind: str, at: ast.Node) -> object:
    """What a carry of this kind is given: bits stay bits."""
    bits = as_bits(thing) if kind == "bit" else None
    return bits if bits is not None else as_tensor(e, thing, at)


def _fits_carry(t: Tensor, type_: Type) -> bool:
    return t.type.kind == "bit" or (t.type.kind == "real" and type_.kind == "real")


def update(e: Elaborator, node: ast.Update) -> None:
    value = e.eval(node.value)
    thing: object = e.lookup(node.name)
    if thing is None:
        unknown(e, ast.Name(node.name, span=node.span))
        return
    if isinstance(thing, Poison):
        return
    if not isinstance(thing, Carry):
        e.error(
            "E0208",
            node,
            f"`<-` updates a carry; `{node.name}` is {describe(thing)}",
            help=f"declare `carry {node.name}: real[…] = 0` before the step",
        )
        return
    thing.updated = True
    if not thing.open:
        e.error(
            "E0601",
            node,
            f"`{node.name}` can be updated only in the step of the block that declares it",
            notes=[Note(f"`{node.name}` is declared here", thing.span)],
        )
        return
    if e.here.in_if:
        e.error(
            "E0609",
            node,
            "a carry can't be updated inside `if` on a measured bit",
            help=f"`{node.name} <- where(bit, a, b)`",
        )
        return
    if isinstance(value, Poison):
        return
    pending = isinstance(thing.now, Poison)
    if isinstance(value, Pending):
        if not pending:
            e.widths.want(value, thing.type.shape, node.span)
        return
    t = _carried(e, value, thing.type.kind, node.value)
    if not isinstance(t, Tensor):
        return
    if pending:
        key = e.here.prefix + node.name
        if key in e.widths.open and t.type.kind == "real":
            e.widths.wanted.setdefault(key, (t.type.shape, node.span))
        return
    number = not t.type.shape and t.value is None and not t.elements[0].terms
    if number and thing.type.shape:
        numbers = (t.elements[0].constant,) * thing.type.count
        t = of_value(e.builder.const(numbers, thing.type.shape, t.type.kind))
    if t.type.shape != thing.type.shape or t.type.seq or not _fits_carry(t, thing.type):
        e.error(
            "E0408",
            node.value,
            f"the carry `{node.name}` is {thing.type}, found {t.type}",
            notes=[Note(f"`{node.name}` is declared here", thing.span)],
            help=_filled(node.value.span.text, thing.type.shape) if not t.type.shape else "",
        )
        return
    if t.type.kind == "bit" and thing.type.kind == "real":
        t = of_value(e.builder.real_whole(t))
    thing.now = t


def _filled(text: str, shape: tuple[int, ...]) -> str:
    """How a single number becomes a vector or a matrix."""
    if shape == (1,):
        return f"a list is a vector: `[{text}]`"
    return f"the same number everywhere: `zeros({', '.join(map(str, shape))}) + {text}`"
