"""Gates that are turns about one axis: which belong together, and what two of them make.

A family's gates commute with one another and their angles add. Without controls a global phase
does not matter, so `rz`, `p`, `s`, `t` and `z` on a qubit are one family; with controls it does.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

from qrlang.gates import GATES, inverse
from qrlang.ir.program import Angle, Gate
from qrlang.passes.angles import TAU, add, is_multiple, wrapped

_PI = math.pi
# Fixed gates as angles of their axis.
_FIXED: dict[str, tuple[str, float]] = {
    "z": ("Z", _PI),
    "s": ("Z", _PI / 2),
    "sdg": ("Z", -_PI / 2),
    "t": ("Z", _PI / 4),
    "tdg": ("Z", -_PI / 4),
    "x": ("X", _PI),
    "sx": ("X", _PI / 2),
    "sxdg": ("X", -_PI / 2),
    "y": ("Y", _PI),
}
_NAMED = {
    "Z": {2: "z", 1: "s", -1: "sdg"},
    "X": {2: "x", 1: "sx", -1: "sxdg"},
}
_SYMMETRIC = frozenset({"rxx", "ryy", "rzz", "xx_plus_yy", "swap", "iswap", "iswapdg"})


@dataclass(frozen=True, slots=True)
class Family:
    """`key` equal: the same family on the same qubits. `period`: an angle that does nothing."""

    key: Hashable
    axis: str
    period: float
    phase: bool  # angles of phases (p, s, t), not of rotations


def family(gate: Gate) -> tuple[Family, Angle] | None:
    """The family of a gate and its angle there."""
    controlled = bool(gate.controls or gate.zeros)
    fixed = _FIXED.get(gate.name)
    if gate.name == "p" or (fixed is not None and (fixed[0] == "Z" or not controlled)):
        axis, constant = fixed or ("Z", 0.0)
        angle = gate.angles[0] if gate.name == "p" else Angle(constant)
        if not controlled:
            return Family((axis, gate.qubits), axis, TAU, True), angle
        ones = frozenset(gate.controls + gate.qubits)
        return Family(("phase", ones, frozenset(gate.zeros)), axis, TAU, True), angle
    where = (frozenset(gate.controls), frozenset(gate.zeros))
    if fixed is not None and fixed[0] == "X":  # x, sx, sxdg with controls: powers of x
        return Family(("power", gate.qubits, *where), "X", TAU, True), Angle(fixed[1])
    spec = GATES[gate.name]
    if not spec.pauli and gate.name != "xx_plus_yy":
        return None
    qubits = tuple(sorted(gate.qubits)) if gate.name in _SYMMETRIC else gate.qubits
    if spec.qubits == 1 and not controlled:
        return Family((spec.pauli, qubits), spec.pauli, TAU, False), gate.angles[0]
    # A rotation by a whole turn is -1: only a global phase if nothing controls it.
    period = 2 * TAU if controlled or not spec.pauli else TAU
    return Family((gate.name, qubits, *where), spec.pauli, period, False), gate.angles[0]


def combine(a: Gate, b: Gate) -> tuple[Gate, ...] | None:
    """`a` then `b` (nothing between) as at most one gate; None if they are two."""
    fa, fb = family(a), family(b)
    if fa is not None and fb is not None:
        if fa[0].key != fb[0].key:
            return None
        return turn(a, b, fa[0], add(fa[1], fb[1]), fa[0].phase and fb[0].phase)
    return () if undoes(a, b) else None


def simplified(gate: Gate) -> tuple[Gate, ...]:
    """A gate that does nothing is none."""
    if gate.name == "id":
        return ()
    known = family(gate)
    if known is not None:
        return () if is_multiple(known[1], known[0].period) else (gate,)
    if gate.angles and all(is_multiple(a, 2 * TAU) for a in gate.angles):
        return ()
    return (gate,)


def turn(a: Gate, b: Gate, fam: Family, angle: Angle, phase: bool) -> tuple[Gate, ...]:
    """The gate of a family at an angle, written like `a` and `b` where that can be."""
    if is_multiple(angle, fam.period):
        return ()
    angle = wrapped(angle, fam.period)
    controlled = bool(a.controls or a.zeros)
    names = _NAMED.get(fam.axis, {})
    if not angle.terms and (phase or a.name in _FIXED or b.name in _FIXED):
        quarters = angle.constant / (_PI / 2)
        if abs(quarters - round(quarters)) < 1e-12:
            name = names.get(round(quarters) if round(quarters) != -2 else 2)
            if name and (phase or not controlled):
                return (_like(a, name, ()),)
        if fam.axis == "Z" and abs(abs(angle.constant) - _PI / 4) < 1e-12:
            return (_like(a, "t" if angle.constant > 0 else "tdg", ()),)
    if a.name == b.name and a.angles:
        return (_like(a, a.name, (angle,)),)
    if fam.axis == "Z" and phase:
        return (_like(a, "p", (angle,)),)
    return (_like(a, f"r{fam.axis.lower()}", (angle,)),)


def _like(gate: Gate, name: str, angles: tuple[Angle, ...]) -> Gate:
    return Gate(name, gate.qubits, angles, gate.controls, gate.zeros, gate.place)


def undoes(a: Gate, b: Gate) -> bool:
    """`b` is the inverse of `a`."""
    if set(a.controls) != set(b.controls) or set(a.zeros) != set(b.zeros):
        return False
    name, signs = inverse(a.name)
    if b.name != name:
        return False
    if a.qubits != b.qubits and (a.name not in _SYMMETRIC or set(a.qubits) != set(b.qubits)):
        return False
    for (sign, index), angle in zip(signs, b.angles, strict=True):
        wanted = a.angles[index]
        total = add(
            angle,
            wanted
            if sign < 0
            else Angle(
                -wanted.constant,
                tuple(type(t)(-t.coefficient, t.value, t.index) for t in wanted.terms),
            ),
        )
        if total.terms or abs(total.constant) > 1e-12:
            return False
    return True


# --- what commutes ------------------------------------------------------------------------------


def letters(gate: Gate) -> dict[int, str]:
    """For each qubit the axis along which the gate is diagonal there; "*" if there is none."""
    out = dict.fromkeys((*gate.controls, *gate.zeros), "Z")
    spec = GATES[gate.name]
    if spec.pauli:
        out.update(zip(gate.qubits, spec.pauli, strict=True))
    elif spec.diagonal:
        out.update(dict.fromkeys(gate.qubits, "Z"))
    elif gate.name in _FIXED:
        out[gate.qubits[0]] = _FIXED[gate.name][0]
    else:
        out.update(dict.fromkeys(gate.qubits, "*"))
    return out
