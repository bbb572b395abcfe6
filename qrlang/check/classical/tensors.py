"""Things seen as tensors: a number, a list, a value of the program."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from qrlang.check.algebra.numbers import is_number
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import (
    POISON,
    Observable,
    Pending,
    Poison,
    Probs,
    Readout,
    Tensor,
    describe,
)
from qrlang.ir import program as ir
from qrlang.ir.types import real
from qrlang.syntax import ast


def scalar(angle: ir.Angle) -> Tensor:
    return Tensor(real(), None, (angle,))


def constant(x: float) -> Tensor:
    return Tensor(real(), None, (ir.Angle(float(x)),))


def of_value(value: ir.Value) -> Tensor:
    return Tensor(value.type, value)


def as_tensor(
    e: Elaborator, thing: object, at: ast.Node, what: str = ""
) -> Tensor | Pending | Poison:
    """A number, list or value as a tensor of reals or bits; says what is wrong otherwise."""
    if isinstance(thing, (Tensor, Pending, Poison)):
        return thing
    if is_number(thing):
        return constant(thing)
    if isinstance(thing, tuple):
        parts = []
        for part in thing:
            t = as_tensor(e, part, at, what)
            if not isinstance(t, Tensor):
                return t
            parts.append(t)
        if not parts:
            return e.error("E0311", at, "an empty list has no numbers in it")
        shape = parts[0].type.shape
        for k, t in enumerate(parts):
            if not numeric(e, t, at):
                return POISON
            if t.type.shape != shape:
                return e.error(
                    "E0401",
                    at,
                    f"a list of values must have one shape: element 0 is "
                    f"{parts[0].type}, element {k} is {t.type}",
                    help="use `concat(…)` to put values of several widths into one vector",
                )
        if not e.fits((len(parts), *shape), at):
            return POISON
        elements = tuple(a for t in parts for a in elements_of(e, t))
        return Tensor(real(len(parts), *shape), None, elements)
    if isinstance(thing, (Observable, Probs, Readout)):
        return e.error(
            "E0208",
            at,
            f"{describe(thing)} is not a number until it is read",
            help=f"`read {at.span.text}`"
            if isinstance(at, (ast.Name, ast.Call)) and "\n" not in at.span.text
            else "`read` takes what follows closely: `read Z(q[0])`, `read (Z(q[0]) * Z(q[1]))`",
        )
    return e.error(
        "E0208", at, f"expected {what or 'a number or a tensor'}, found {describe(thing)}"
    )


def numeric(e: Elaborator, t: Tensor, at: ast.Node) -> bool:
    """Whether the value can take part in arithmetic; says so if not."""
    kind = t.type.kind
    if t.type.seq:
        e.error(
            "E0406",
            at,
            f"this is a whole sequence, {t.type}; one moment of it is needed",
            help="run a `step … in` over it, or use `last`, `mean`, `sum` or `max` of it",
        )
        return False
    if kind in ("token", "class"):
        e.error(
            "E0405",
            at,
            f"a {kind} is not a number: this is {t.type}",
            help="give it to an embedding first: `layer embed = embedding(64)`, then `embed(…)`",
        )
        return False
    if kind in ("state", "unitary"):
        use = "`prepare … on q`" if kind == "state" else "`apply … to q`"
        e.error("E0208", at, f"{t.type} is not a number", help=f"use it by {use}")
        return False
    return True


def as_numbers(e: Elaborator, given: tuple[ast.Node, object]) -> Tensor | Pending | Poison:
    """A tensor that can take part in arithmetic; says what is wrong otherwise."""
    at, thing = given
    t = as_tensor(e, thing, at)
    return POISON if isinstance(t, Tensor) and not numeric(e, t, at) else t


def all_numbers(
    e: Elaborator, given: Iterable[tuple[ast.Expr, object]]
) -> list[Tensor] | Pending | Poison:
    found: list[Tensor] = []
    for one in given:
        t = as_numbers(e, one)
        if not isinstance(t, Tensor):
            return t
        found.append(t)
    return found


def elements_of(e: Elaborator, t: Tensor) -> Sequence[ir.Angle]:
    if t.value is None:
        if t.type.kind == "bit":
            return [e.builder.bit_as_real(a) for a in t.elements]
        return t.elements
    value = e.builder.as_real(t.value)
    return [ir.Angle(0.0, (ir.Term(1.0, value, i),)) for i in range(value.type.count)]


def element(value: ir.Value, index: int, lifted: bool) -> Tensor:
    if not lifted:
        return of_value(value)
    return scalar(ir.Angle(0.0, (ir.Term(1.0, value, index),)))


def element_of(node: ast.Node, t: Tensor) -> str:
    """How the first number of a value is written, if what it is of goes before an index."""
    text, short = node.span.text, (ast.Name, ast.Index, ast.Field, ast.Call)
    if not isinstance(node, short) or "\n" in text or len(text) > 40:
        return ""
    return f"`{text}[{', '.join('0' * len(t.type.shape))}]`"


def flat(e: Elaborator, parts: Sequence[Tensor]) -> ir.Value:
    """All numbers of several values as one vector."""
    return e.builder.concat(tuple(e.builder.real_whole(t) for t in parts))


def viewed(t: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The same numbers in another shape."""
    return Tensor(replace(t.type, shape=shape), t.value, t.elements)
