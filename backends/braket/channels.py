"""Noise channels of the language as Braket has them. The SDK's own take a smaller probability: a
stronger channel is written as another that is the same."""

from __future__ import annotations

from collections.abc import Sequence

from qrlang.backends.braket.gates import Call
from qrlang.gates import CHANNELS

# What `braket.circuits` accepts; 1 for all others.
_MOST = {"bit_flip": 0.5, "phase_flip": 0.5, "depolarizing": 0.75, "depolarizing2": 0.9375}
_ROUNDED = 1e-13


def channel(name: str, qubits: Sequence[int], args: Sequence[float]) -> Call:
    on = tuple(qubits)
    p = args[0]
    if name != "pauli_channel" and p <= _MOST.get(name, 1.0):
        return Call(CHANNELS[name].braket, on, tuple(args))
    match name:
        case "bit_flip":
            args = (p, 0.0, 0.0)
        case "phase_flip":
            args = (0.0, 0.0, p)
        case "depolarizing":
            args = (p / 3, p / 3, p / 3)
        case "depolarizing2":
            return Call(CHANNELS[name].braket, on, tuple(args))
    # A sum that is rounded to more than 1 would leave the root of a negative number for the rest:
    # all probabilities would be 0, without a word.
    total = sum(args)
    scale = (1 - _ROUNDED) / total if total > 1 - _ROUNDED else 1.0
    return Call("pauli_channel", on, tuple(scale * x for x in args))


def line(name: str, wires: Sequence[str], args: Sequence[float]) -> str:
    """The same as a line of Python, where the SDK checks what it is given."""
    p = args[0]
    if name == "depolarizing2" and p > _MOST[name]:
        words = " ".join([a + b for a in "IXYZ" for b in "IXYZ"][1:])
        parts = f'[np.sqrt({p!r} / 15) * pauli(word) for word in "{words}".split()]'
        rest = f' + [np.sqrt({1 - p!r}) * pauli("II")]' if p < 1 else ""
        return f"circuit.kraus([{', '.join(wires)}], {parts}{rest})"
    call = channel(name, range(len(wires)), args)
    return f"circuit.{call.name}({', '.join([*wires, *map(repr, call.angles)])})"
