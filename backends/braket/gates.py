"""Every gate of the table, under any controls, as gates that Braket has. No SDK needed.

Names are those of OpenQASM on Braket, which are also the methods of `braket.circuits.Circuit`.
Modifiers (`ctrl @`) are not used: devices refuse them, and the local simulator (1.41) leaves
`ctrl @ h q[1], q[0]` out without a word. An angle may be a number or anything that can be added
and scaled, such as a `FreeParameter`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from qrlang.gates import GATES

Angle = Any  # float, or an expression of the SDK


class Call(NamedTuple):
    """`circuit.name(*qubits, *angles)`."""

    name: str
    qubits: tuple[int, ...]
    angles: tuple[Angle, ...] = ()


# With one control, or two.
_NAMED = {("x", 1): "cnot", ("x", 2): "ccnot", ("y", 1): "cy", ("z", 1): "cz",
          ("p", 1): "cphaseshift", ("swap", 1): "cswap"}  # fmt: skip
_PHASES = {"z": math.pi, "s": math.pi / 2, "sdg": -math.pi / 2, "t": math.pi / 4,
           "tdg": -math.pi / 4}  # fmt: skip

_BASES = {g.braket: (g.name, 0) for g in GATES.values() if g.braket} | {
    braket: base for base, braket in _NAMED.items()
}

# What a simulator of Braket takes, and what is used of it.
NATIVE = frozenset(
    [g.braket for g in GATES.values() if g.braket] + [*_NAMED.values(), "xy", "iswap"]
)

# What the devices of all makers on Braket list among their operations.
COMMON = frozenset(
    ("i", "x", "y", "z", "h", "s", "si", "t", "ti", "rx", "ry", "rz", "cnot", "swap")
)


def calls(
    name: str,
    qubits: Sequence[int],
    angles: Sequence[Angle] = (),
    controls: Sequence[int] = (),
    zeros: Sequence[int] = (),
    native: frozenset[str] = NATIVE,
) -> Iterator[Call]:
    """The gate, in gates of `native` only. Those and `rx rz h cnot` are all that is left."""
    controls, zeros = tuple(dict.fromkeys(controls)), tuple(dict.fromkeys(zeros))
    if set(controls) & set(zeros):
        return  # at no time
    for q in zeros:
        yield from _fitted(Call("x", (q,)), native)
    for call in _controlled(name, tuple(qubits), tuple(angles), (*zeros, *controls)):
        yield from _fitted(call, native)
    for q in zeros:
        yield from _fitted(Call("x", (q,)), native)


# Gates on two qubits or more that undo themselves. Those with an angle undo it with the opposite.
_OWN_INVERSE = ("cnot", "cy", "cz", "swap", "ccnot", "cswap")


def inverse(call: Call) -> Call:
    """What undoes a gate on two qubits or more."""
    if call.name in _OWN_INVERSE:
        return call
    if call.name == "iswap":
        return Call("xy", call.qubits, (-math.pi,))
    assert call.angles, call.name
    return Call(call.name, call.qubits, tuple(-a for a in call.angles))


def matrix(name: str, *angles: float) -> Any:
    """Of a gate by Braket's name, with as many dimensions as it has qubits, twice."""
    import numpy as np

    if name == "xy":
        return np.array(GATES["xx_plus_yy"].matrix(-angles[0]))
    base, controls = _BASES[name]
    inner = np.array(GATES[base].matrix(*angles), complex)
    size = len(inner) << controls
    made = np.eye(size, dtype=complex)
    made[size - len(inner) :, size - len(inner) :] = inner
    return made


def _controlled(
    name: str, qubits: tuple[int, ...], angles: tuple[Angle, ...], controls: tuple[int, ...]
) -> Iterator[Call]:
    if not controls:
        yield from _plain(name, qubits, angles)
    elif (name, len(controls)) in _NAMED:
        yield Call(_NAMED[name, len(controls)], (*controls, *qubits), angles)
    elif len(qubits) == 1:
        yield from _one(name, qubits[0], angles, controls)
    else:
        yield from _two(name, qubits[0], qubits[1], angles, controls)


def _plain(name: str, qubits: tuple[int, ...], angles: tuple[Angle, ...]) -> Iterator[Call]:
    match name:
        case "iswapdg":
            yield Call("xy", qubits, (-math.pi,))
        case "xx_plus_yy":
            yield Call("xy", qubits, (-angles[0],))
        case "rzx":
            yield Call("h", qubits[1:])
            yield Call("zz", qubits, angles)
            yield Call("h", qubits[1:])
        case _:
            yield Call(GATES[name].braket, qubits, angles)


def _one(name: str, q: int, angles: tuple[Angle, ...], controls: tuple[int, ...]) -> Iterator[Call]:
    """A gate on one qubit under controls."""

    def flip() -> Iterator[Call]:
        return _controlled("x", (q,), (), controls)

    def on(gate: str, angle: Angle) -> Iterator[Call]:
        return _controlled(gate, (q,), (angle,), controls)

    match name:
        case "id":
            return
        case "x":
            yield Call("h", (q,))
            yield from _phase((*controls, q), math.pi)
            yield Call("h", (q,))
        case "y":
            yield Call("si", (q,))
            yield from flip()
            yield Call("s", (q,))
        case "p":
            yield from _phase((*controls, q), angles[0])
        case _ if name in _PHASES:
            yield from _phase((*controls, q), _PHASES[name])
        case "h":  # Z, seen from half way to X
            yield Call("ry", (q,), (-math.pi / 4,))
            yield from _controlled("z", (q,), (), controls)
            yield Call("ry", (q,), (math.pi / 4,))
        case "sx" | "sxdg":
            yield Call("h", (q,))
            yield from on("p", math.pi / 2 if name == "sx" else -math.pi / 2)
            yield Call("h", (q,))
        case "rz" | "ry":  # a flip turns them round
            yield Call(name, (q,), (angles[0] / 2,))
            yield from flip()
            yield Call(name, (q,), (-angles[0] / 2,))
            yield from flip()
        case "rx":
            yield Call("h", (q,))
            yield from on("rz", angles[0])
            yield Call("h", (q,))
        case "r":
            theta, phi = angles
            yield Call("rz", (q,), (-phi,))
            yield from on("rx", theta)
            yield Call("rz", (q,), (phi,))
        case "u":
            theta, phi, lam = angles
            yield Call("rz", (q,), ((lam - phi) / 2,))
            yield from flip()
            yield Call("rz", (q,), (-(phi + lam) / 2,))
            yield Call("ry", (q,), (-theta / 2,))
            yield from flip()
            yield Call("ry", (q,), (theta / 2,))
            yield Call("rz", (q,), (phi,))
            yield from _phase(controls, (phi + lam) / 2)
        case _:
            raise ValueError(f"the gate {name} under controls is not known here")


def _two(
    name: str, a: int, b: int, angles: tuple[Angle, ...], controls: tuple[int, ...]
) -> Iterator[Call]:
    """A gate on two qubits under controls: one on one qubit, between gates that cancel."""
    match name:
        case "swap":
            yield Call("cnot", (b, a))
            yield from _controlled("x", (b,), (), (*controls, a))
            yield Call("cnot", (b, a))
        case "rzz":
            yield Call("cnot", (a, b))
            yield from _controlled("rz", (b,), angles, controls)
            yield Call("cnot", (a, b))
        case "rzx":
            yield Call("h", (b,))
            yield from _two("rzz", a, b, angles, controls)
            yield Call("h", (b,))
        case "rxx" | "ryy":
            # rx by a quarter turns Y to Z
            turn = "h" if name == "rxx" else "rx"
            for q in (a, b):
                yield Call(turn, (q,), (math.pi / 2,) if turn == "rx" else ())
            yield from _two("rzz", a, b, angles, controls)
            for q in (a, b):
                yield Call(turn, (q,), (-math.pi / 2,) if turn == "rx" else ())
        case "iswap" | "iswapdg" | "xx_plus_yy":
            half = {"iswap": -math.pi / 2, "iswapdg": math.pi / 2}
            angle = angles[0] / 2 if angles else half[name]
            yield from _two("rxx", a, b, (angle,), controls)
            yield from _two("ryy", a, b, (angle,), controls)
        case _:
            raise ValueError(f"the gate {name} under controls is not known here")


def _phase(qubits: tuple[int, ...], angle: Angle) -> Iterator[Call]:
    """A phase where all of them are 1: phases of parities, in the order of a Gray code."""
    if len(qubits) == 1:
        yield Call("phaseshift", qubits, (angle,))
        return
    if len(qubits) == 2:
        yield Call("cphaseshift", qubits, (angle,))
        return
    share = angle / 2 ** (len(qubits) - 1)
    for k, q in enumerate(qubits):
        # Every parity whose last qubit is q; q holds it.
        subset = 0
        for i in range(2**k):
            code = i ^ i >> 1
            if changed := subset ^ code:
                yield Call("cnot", (qubits[changed.bit_length() - 1], q))
            subset = code
            yield Call("phaseshift", (q,), (-share if code.bit_count() % 2 else share,))
        if subset:
            yield Call("cnot", (qubits[subset.bit_length() - 1], q))


# --- gates that a device lacks ------------------------------------------------------------------

_HALF = math.pi / 2


def _fitted(call: Call, native: frozenset[str]) -> Iterator[Call]:
    if call.name in native or call.name in ("rx", "rz", "h", "cnot"):
        yield call
        return
    for part in _without(call):
        yield from _fitted(part, native)


def _without(call: Call) -> Iterator[Call]:
    """A gate by others, up to a global phase."""
    name, qubits, angles = call
    q, last = qubits[0], qubits[-1]
    if name in _TURNS:
        axis, angle = _TURNS[name]
        yield Call(axis, qubits, (angle,))
        return
    match name:
        case "i":
            return
        case "phaseshift":
            yield Call("rz", qubits, angles)
        case "ry":
            yield Call("rx", qubits, (_HALF,))
            yield Call("rz", qubits, angles)
            yield Call("rx", qubits, (-_HALF,))
        case "prx":
            theta, phi = angles
            yield Call("rz", qubits, (-phi,))
            yield Call("rx", qubits, (theta,))
            yield Call("rz", qubits, (phi,))
        case "u":
            theta, phi, lam = angles
            yield Call("rz", qubits, (lam,))
            yield Call("ry", qubits, (theta,))
            yield Call("rz", qubits, (phi,))
        case "cz":
            yield Call("h", (last,))
            yield Call("cnot", qubits)
            yield Call("h", (last,))
        case "cy":
            yield Call("si", (last,))
            yield Call("cnot", qubits)
            yield Call("s", (last,))
        case "cphaseshift":
            for one in qubits:
                yield Call("phaseshift", (one,), (angles[0] / 2,))
            yield Call("cnot", qubits)
            yield Call("phaseshift", (last,), (-angles[0] / 2,))
            yield Call("cnot", qubits)
        case "swap":
            for pair in (qubits, qubits[::-1], qubits):
                yield Call("cnot", pair)
        case "zz":
            yield Call("cnot", qubits)
            yield Call("rz", (last,), angles)
            yield Call("cnot", qubits)
        case "xx" | "yy":
            for one in qubits:
                yield Call("h", (one,)) if name == "xx" else Call("rx", (one,), (_HALF,))
            yield Call("zz", qubits, angles)
            for one in qubits:
                yield Call("h", (one,)) if name == "xx" else Call("rx", (one,), (-_HALF,))
        case "xy":
            yield Call("xx", qubits, (-angles[0] / 2,))
            yield Call("yy", qubits, (-angles[0] / 2,))
        case "iswap":
            yield Call("xy", qubits, (math.pi,))
        case "ccnot":
            yield from _one("x", last, (), qubits[:2])
        case "cswap":
            yield from _two("swap", qubits[1], qubits[2], (), (q,))
        case _:
            raise ValueError(f"the gate {name} is not known here")


_TURNS = {"x": ("rx", math.pi), "y": ("ry", math.pi), "z": ("rz", math.pi),
          "s": ("rz", _HALF), "si": ("rz", -_HALF), "t": ("rz", _HALF / 2),
          "ti": ("rz", -_HALF / 2), "v": ("rx", _HALF), "vi": ("rx", -_HALF)}  # fmt: skip
