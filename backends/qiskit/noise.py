"""The language's noise channels as Aer's errors: objects, or the text that makes them."""

from __future__ import annotations

from typing import Any

MAKERS = frozenset({"pauli_error", "amplitude_damping_error", "phase_damping_error"})


def _mixture(name: str) -> list[tuple[str, int, int]]:
    """Pauli words, each with the number of the argument that is its probability, and by what that
    is divided."""
    match name:
        case "bit_flip":
            return [("X", 0, 1)]
        case "phase_flip":
            return [("Z", 0, 1)]
        case "pauli_channel":
            return [("X", 0, 1), ("Y", 1, 1), ("Z", 2, 1)]
        case "depolarizing":
            return [(letter, 0, 3) for letter in "XYZ"]
        case "depolarizing2":
            return [(a + b, 0, 15) for a in "IXYZ" for b in "IXYZ"][1:]
    return []


def error(name: str, args: list[float]) -> Any:
    from qiskit_aer import noise

    if not (mixture := _mixture(name)):
        return getattr(noise, f"{name}_error")(*args)
    parts = [(word, args[i] / by) for word, i, by in mixture]
    left = max(0.0, 1 - sum(args))
    return noise.pauli_error([*parts, ("I" * len(mixture[0][0]), left)])


def text(name: str, args: list[str]) -> str:
    if not (mixture := _mixture(name)):
        return f"{name}_error({', '.join(args)})"
    parts = [f'("{word}", {args[i]}{f" / {by}" * (by > 1)})' for word, i, by in mixture]
    parts.append(f'("{"I" * len(mixture[0][0])}", 1 - {" - ".join(args)})')
    return f"pauli_error([{', '.join(parts)}])"
