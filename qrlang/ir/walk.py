"""Going through ops without knowing each: what they use, define and touch; rebuilding them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from qrlang.ir.program import (
    Angle,
    Diagonal,
    Element,
    Gate,
    If,
    Loop,
    Op,
    Permutation,
    Program,
    Run,
    Unitary,
    Value,
)

T = TypeVar("T")

# Fields that hold ops, and fields that define values, by class: everything else is a use.
_REGIONS: dict[str, tuple[str, ...]] = {"Loop": ("body",), "If": ("then", "orelse")}
_DEFINES = frozenset({"out", "item", "arg", "flag"})


def regions(op: Op) -> tuple[tuple[Op, ...], ...]:
    """The bodies of an op: a loop's one, an if's two, else none."""
    return tuple(getattr(op, name) for name in _REGIONS.get(type(op).__name__, ()))


def walk(ops: tuple[Op, ...]) -> Iterator[Op]:
    """Every op, those in bodies too, in order."""
    for op in ops:
        yield op
        for body in regions(op):
            yield from walk(body)


def uses(op: Op) -> list[Value]:
    """Values that the op reads, without those that only its bodies read (`LoopCarry.next` and
    `LoopEmit.value` are defined in the body and count as uses of the loop)."""
    if isinstance(op, Unitary):  # may be long, and angles are all it reads
        return [t.value for e in op.elements for a in angles_of(e) for t in a.terms]
    found: list[Value] = []
    for f in fields(op):
        if f.name in _REGIONS.get(type(op).__name__, ()) or f.name in _DEFINES:
            continue
        found.extend(uses_in(getattr(op, f.name)))
    return found


def used_values(ops: tuple[Op, ...]) -> set[int]:
    """Numbers of the values that ops read, bodies too."""
    return {v.id for op in walk(ops) for v in uses(op)}


def read_targets(program: Program) -> tuple[Value, ...]:
    """Targets that the program itself reads (teacher forcing): it is given them too."""
    read = used_values(program.body) | {o.value.id for o in program.outputs}
    return tuple(t for t in program.targets if t.id in read)


def defs(op: Op) -> list[Value]:
    """Values that the op defines: its results, and for a loop the values bound in its body."""
    if isinstance(op, Unitary):
        return []
    found: list[Value] = []
    for f in fields(op):
        if f.name in _REGIONS.get(type(op).__name__, ()):
            continue
        thing = getattr(op, f.name)
        if f.name in _DEFINES:
            if isinstance(thing, Value):
                found.append(thing)
        else:
            found.extend(_defs_in(thing))
    return found


def uses_in(thing: Any) -> Iterator[Value]:
    if isinstance(thing, Value):
        yield thing
    elif isinstance(thing, tuple):
        for part in thing:
            yield from uses_in(part)
    elif is_dataclass(thing) and not isinstance(thing, type):
        for f in fields(thing):
            if f.name not in _DEFINES:
                yield from uses_in(getattr(thing, f.name))


def _defs_in(thing: Any) -> Iterator[Value]:
    if isinstance(thing, tuple):
        for part in thing:
            yield from _defs_in(part)
    elif is_dataclass(thing) and not isinstance(thing, (type, Value)):
        for f in fields(thing):
            part = getattr(thing, f.name)
            if f.name in _DEFINES:
                if isinstance(part, Value):
                    yield part
            else:
                yield from _defs_in(part)


def qubits_of(thing: Op | Element) -> tuple[int, ...]:
    """Qubits that an op (without its bodies) or an element of a segment touches."""
    match thing:
        case Gate():
            return thing.all_qubits
        case Run():
            return (thing.qubit,)
        case Diagonal():
            return tuple(sorted({q for mask, _ in thing.terms for q in mask}))
        case Permutation():
            return thing.qubits
        case Unitary():
            return tuple(sorted({q for e in thing.elements for q in qubits_of(e)}))
        case Loop() | If():
            return ()
    found: set[int] = set()
    for name in ("qubits", "controls", "zeros"):
        found.update(getattr(thing, name, ()))
    for _, string in getattr(thing, "terms", ()):  # Evolve
        found.update(q for q, _ in string)
    for observable in getattr(thing, "observables", ()):  # Expect
        for _, string in observable:
            found.update(q for q, _ in string)
    return tuple(sorted(found))


def angles_of(element: Element) -> Iterator[Angle]:
    match element:
        case Gate():
            yield from element.angles
        case Run():
            for gate in element.gates:
                yield from gate.angles
        case Diagonal():
            for _, angle in element.terms:
                yield angle
        case Permutation():
            return


def map_bodies(op: Op, change: Callable[[tuple[Op, ...]], tuple[Op, ...]]) -> Op:
    """The op with each of its bodies changed."""
    match op:
        case Loop():
            return replace(op, body=change(op.body))
        case If():
            return replace(op, then=change(op.then), orelse=change(op.orelse))
    return op


def substitute(thing: T, change: Callable[[Value], Value]) -> T:
    """The same op, element or tuple with every value (used or defined, bodies too) changed."""
    if isinstance(thing, Value):
        return change(thing)  # type: ignore[return-value]
    if isinstance(thing, tuple):
        return tuple(substitute(part, change) for part in thing)  # type: ignore[return-value]
    if is_dataclass(thing) and not isinstance(thing, type):
        changed = {
            f.name: substitute(getattr(thing, f.name), change)
            for f in fields(thing)
            if (f.init and isinstance(getattr(thing, f.name), (Value, tuple)))
            or is_dataclass(getattr(thing, f.name))
        }
        return replace(thing, **changed) if changed else thing
    return thing


def next_id(program: Program) -> int:
    """A value number that nobody uses yet."""
    highest = -1
    for value in (*program.inputs, *program.targets):
        highest = max(highest, value.id)
    for op in walk(program.body):
        for value in defs(op):
            highest = max(highest, value.id)
    return highest + 1
