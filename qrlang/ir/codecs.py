"""How each part of an op is written and read back: one codec a kind of part.

`forms.py` says which parts each op has. Printer and parser both follow it, so they agree.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from qrlang.ir.lexer import is_plain, quoted
from qrlang.ir.program import Angle, Observable, PauliString, Term, Value
from qrlang.ir.reader import Reader

_PAULI = re.compile(r"([XYZ])(\d+)\Z")
_QUBIT = re.compile(r"q(\d+)\Z")


@dataclass(frozen=True, slots=True)
class Codec:
    show: Callable[[Any], str]
    read: Callable[[Reader], Any]


# --- numbers ------------------------------------------------------------------------------------


def show_float(x: float) -> str:
    return repr(float(x))


def _negative(x: float) -> bool:
    return math.copysign(1.0, x) < 0


def _signed_sum(parts: list[tuple[bool, str]]) -> str:
    """`a - b + c` from (is negative, text)."""
    text = ""
    for negative, part in parts:
        if text:
            text += " - " if negative else " + "
        elif negative:
            text = "-"
        text += part
    return text


def show_angle(angle: Angle) -> str:
    parts = []
    for term in angle.terms:
        size = abs(term.coefficient)
        factor = "" if size == 1.0 else f"{show_float(size)}*"
        parts.append((_negative(term.coefficient), factor + show_element(term.value, term.index)))
    if angle.constant != 0.0 or not parts:
        parts.append((_negative(angle.constant), show_float(abs(angle.constant))))
    return _signed_sum(parts)


def read_angle(r: Reader) -> Angle:
    constant: float | None = None
    terms: list[Term] = []
    for negative in _signs(r):
        number = r.unsigned_float() if r.at_number() else None
        if number is None or r.take("*"):
            value, index = read_element(r)
            coefficient = 1.0 if number is None else number
            terms.append(Term(-coefficient if negative else coefficient, value, index))
        elif constant is None:
            constant = -number if negative else number
        else:
            r.fail("this angle has a second constant")
    return Angle(0.0 if constant is None else constant, tuple(terms))


def _signs(r: Reader) -> Iterator[bool]:
    """Before each term of a sum: whether it is taken away."""
    yield r.take("-")
    while (negative := r.take("-")) or r.take("+"):
        yield negative


# --- values -------------------------------------------------------------------------------------


def show_value(value: Value) -> str:
    return f"%{value.name}.{value.id}" if is_plain(value.name) else f"%{value.id}"


def show_definition(value: Value) -> str:
    return f"{show_value(value)} : {value.type}"


def show_element(value: Value, index: int) -> str:
    plain = index == 0 and value.type.shape == ()
    return show_value(value) + ("" if plain else f"[{index}]")


def read_element(r: Reader) -> tuple[Value, int]:
    value = r.value()
    index = 0
    if r.take("["):
        index = r.integer()
        r.expect("]")
    return value, index


# --- qubits and Pauli strings -------------------------------------------------------------------


def show_qubits(qubits: tuple[int, ...]) -> str:
    return ", ".join(f"q{q}" for q in qubits)


def at_qubit(r: Reader) -> bool:
    return r.token.kind == "name" and _QUBIT.match(r.token.text) is not None


def read_qubit(r: Reader) -> int:
    match = _QUBIT.match(r.token.text) if r.token.kind == "name" else None
    if match is None:
        r.fail("expected a qubit such as q0")
    r.advance()
    return int(match[1])


def read_qubits(r: Reader) -> tuple[int, ...]:
    """As many as stand there, none too."""
    return r.listed(read_qubit) if at_qubit(r) else ()


def show_controls(both: tuple[tuple[int, ...], tuple[int, ...]]) -> str:
    ones, zeros = both
    return ", ".join([*(f"q{q}" for q in ones), *(f"!q{q}" for q in zeros)])


def read_controls(r: Reader) -> tuple[tuple[int, ...], tuple[int, ...]]:
    found = r.listed(lambda r: (r.take("!"), read_qubit(r)))
    return tuple(q for zero, q in found if not zero), tuple(q for zero, q in found if zero)


def _show_bits(both: tuple[tuple[int, ...], tuple[int, ...]]) -> str:
    return ", ".join(f"q{q} = {bit}" for q, bit in zip(*both, strict=False))


def _read_bit(r: Reader) -> tuple[int, int]:
    qubit = read_qubit(r)
    r.expect("=")
    return qubit, r.integer()


def _read_bits(r: Reader) -> tuple[tuple[int, ...], tuple[int, ...]]:
    found = r.listed(_read_bit)
    return tuple(q for q, _ in found), tuple(bit for _, bit in found)


def show_string(string: PauliString) -> str:
    return " ".join(f"{letter}{q}" for q, letter in string) or "I"


def read_string(r: Reader) -> PauliString:
    if r.take("I"):
        return ()
    found: list[tuple[int, str]] = []
    while r.token.kind == "name" and (match := _PAULI.match(r.token.text)):
        found.append((int(match[2]), match[1]))
        r.advance()
    if not found:
        r.fail("expected a Pauli string such as Z0 or X1 Y2, or I")
    return tuple(found)


def show_observable(observable: Observable) -> str:
    parts = []
    for coefficient, string in observable:
        size = abs(coefficient)
        factor = "" if size == 1.0 else f"{show_float(size)}*"
        parts.append((_negative(coefficient), factor + show_string(string)))
    return _signed_sum(parts) or "0"


def read_observable(r: Reader) -> Observable:
    if r.take("0"):
        return ()
    terms: list[tuple[float, PauliString]] = []
    for negative in _signs(r):
        coefficient = 1.0
        if r.at_number():
            coefficient = r.unsigned_float()
            r.expect("*")
        terms.append((-coefficient if negative else coefficient, read_string(r)))
    return tuple(terms)


def _show_evolution_term(term: tuple[Angle, PauliString]) -> str:
    return f"({show_angle(term[0])}) {show_string(term[1])}"


def _read_evolution_term(r: Reader) -> tuple[Angle, PauliString]:
    r.expect("(")
    angle = read_angle(r)
    r.expect(")")
    return angle, read_string(r)


# --- index lists --------------------------------------------------------------------------------


def show_indices(indices: tuple[int, ...]) -> str:
    """Runs of three or more as `first..end`, the end not included."""
    parts = []
    at = 0
    while at < len(indices):
        end = at + 1
        while end < len(indices) and indices[end] == indices[end - 1] + 1:
            end += 1
        if end - at >= 3:
            parts.append(f"{indices[at]}..{indices[end - 1] + 1}")
        else:
            parts.extend(map(str, indices[at:end]))
        at = end
    return ", ".join(parts)


def _read_range(r: Reader) -> range:
    first = r.integer()
    if not r.take(".."):
        return range(first, first + 1)
    end = r.integer()
    if end - first > 1 << 24:
        r.fail("this range is too long")
    return range(first, end)


def read_indices(r: Reader) -> tuple[int, ...]:
    return tuple(i for part in r.listed(_read_range) for i in part)


# --- the codecs that forms are made of ----------------------------------------------------------


def _list_of(show: Callable[[Any], str], read: Callable[[Reader], Any]) -> Codec:
    """`a, b, c`: at least one."""
    return Codec(lambda xs: ", ".join(map(show, xs)), lambda r: r.listed(read))


def _enclosed(inner: Codec, left: str, right: str) -> Codec:
    """`(a, b, c)`, none too."""

    def read(r: Reader) -> Any:
        r.expect(left)
        if r.take(right):
            return ()
        found = inner.read(r)
        r.expect(right)
        return found

    return Codec(lambda xs: left + inner.show(xs) + right, read)


VALUE = Codec(show_value, lambda r: r.value())
VALUES = _list_of(show_value, lambda r: r.value())
ARGUMENTS = _enclosed(VALUES, "(", ")")
WEIGHT = Codec(lambda name: f"@{quoted(name)}", lambda r: r.weight())
WEIGHTS = _list_of(WEIGHT.show, WEIGHT.read)
NAME = Codec(quoted, lambda r: r.name())
INT = Codec(str, lambda r: r.integer())
FLOAT = Codec(show_float, lambda r: r.signed_float())
FLOATS = _enclosed(_list_of(show_float, lambda r: r.signed_float()), "[", "]")
INDICES = _enclosed(Codec(show_indices, read_indices), "[", "]")
FLAG = Codec(lambda _: "", lambda _: True)  # nothing but its keyword
QUBITS = Codec(show_qubits, lambda r: r.listed(read_qubit))
CONTROLS = _enclosed(Codec(show_controls, read_controls), "(", ")")
BITS = Codec(_show_bits, _read_bits)
ANGLE = Codec(show_angle, read_angle)
ANGLES = _enclosed(_list_of(show_angle, read_angle), "(", ")")
OBSERVABLES = _enclosed(_list_of(show_observable, read_observable), "[", "]")
SETTINGS = _list_of(INDICES.show, INDICES.read)
HAMILTONIAN = _enclosed(_list_of(_show_evolution_term, _read_evolution_term), "[", "]")
