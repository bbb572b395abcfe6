"""A template as Braket's own things: a `Circuit`, OpenQASM text, operations of the simulator."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from qrlang.backends.braket.channels import channel
from qrlang.backends.braket.gates import NATIVE, Call, calls
from qrlang.gates import CHANNELS
from qrlang.hardware.device import DeviceError, Floats, Slot, Step, Template


def parameter(index: int) -> str:
    """The name of an angle: a letter, an underline, a number is safe with every reader (`pi`
    would be the number, `b` and `q` are registers)."""
    return f"a_{index}"


def lowered(
    step: Step, angle: Callable[[float | Slot], Any], native: frozenset[str] = NATIVE
) -> Iterator[Call]:
    angles = tuple(angle(a) for a in step.angles)
    if step.name in CHANNELS:
        yield channel(step.name, step.qubits, angles)
    elif step.name != "barrier":
        yield from calls(step.name, step.qubits, angles, step.controls, step.zeros, native)


def turned(basis: Sequence[tuple[int, str]]) -> Iterator[Call]:
    """So that measuring Z measures X or Y."""
    for q, letter in basis:
        if letter == "Y":
            yield Call("si", (q,))
        if letter in "XY":
            yield Call("h", (q,))


def finite(angles: Floats) -> None:
    """Braket would say `Undefined key: nan`, or nothing."""
    import numpy as np

    if not np.all(np.isfinite(angles)):
        row, column = (int(i) for i in np.argwhere(~np.isfinite(angles))[0])
        raise DeviceError(
            f"angle {column} of circuit {row} is {angles[row, column]}: nothing was sent",
            "look at the weights and the inputs: one of them is not a finite number",
        )


def gates(
    template: Template, angle: Callable[[float | Slot], Any], native: frozenset[str] = NATIVE
) -> Iterator[Call]:
    """All gates of a template without measurements inside, the last basis too."""
    for step in template.steps:
        if step.when or step.name in ("measure", "reset"):
            raise DeviceError(
                f"a circuit of Braket's SDK has no `{'if' if step.when else step.name}`",
                "run it on `--device braket_sv` or `braket_dm`, which take OpenQASM text",
            )
        yield from lowered(step, angle, native)
    for call in turned(template.basis):
        yield from calls("sdg" if call.name == "si" else "h", call.qubits, native=native)


def circuit(template: Template, native: frozenset[str] = NATIVE) -> Any:
    """A `braket.circuits.Circuit` with a free parameter for each column of angles, every qubit
    measured: those that nothing touches would be left out of the result."""
    from braket.circuits import Circuit, FreeParameter

    made = Circuit()

    def angle(a: float | Slot) -> Any:
        return FreeParameter(parameter(a.index)) if isinstance(a, Slot) else a

    for call in gates(template, angle, native):
        getattr(made, call.name)(*call.qubits, *call.angles)
    return made.measure(range(template.qubits))


# --- OpenQASM -----------------------------------------------------------------------------------


def text(template: Template, row: Floats, native: frozenset[str] = NATIVE) -> str:
    """One circuit with its angles as numbers: the local simulator takes a wrong value, without a
    word, for an angle that changes inside an `if`. The bits are those of `columns`."""
    last = template.bits
    lines = ["OPENQASM 3.0;", f"qubit[{template.qubits}] q;"]
    lines.append(f"bit[{last + template.qubits}] b;")
    for when, step in ((s.when, s) for s in template.steps):
        inner = _statements(step, row, native)
        if when:
            asked = " && ".join(f"b[{bit}] == {value}" for bit, value in when)
            inner = [f"if ({asked}) {{", *("  " + line for line in inner), "}"]
        lines += inner
    for call in turned(template.basis):
        lines.append(_written(call))
    lines += [f"b[{last + i}] = measure q[{i}];" for i in range(template.qubits)]
    return "\n".join(lines) + "\n"


def columns(template: Template) -> list[int]:
    """Where the result has each qubit, then each inner bit: it has a column a measurement, in the
    order of the text."""
    order = [s.bit for s in template.steps if s.name == "measure"]
    where = {bit: i for i, bit in enumerate(order)}
    return [len(order) + i for i in range(template.qubits)] + [
        where[b] for b in range(template.bits)
    ]


def _statements(step: Step, row: Floats, native: frozenset[str]) -> list[str]:
    if step.name == "measure":
        return [f"b[{step.bit}] = measure q[{step.qubits[0]}];"]
    if step.name == "reset":
        return [f"reset q[{q}];" for q in step.qubits]

    def angle(a: float | Slot) -> float:
        return float(row[a.index]) if isinstance(a, Slot) else float(a)

    made = list(lowered(step, angle, native))
    if step.name in CHANNELS:
        return [f"#pragma braket noise {_written(call)[:-1]}" for call in made]
    return [_written(call) for call in made]


def _written(call: Call) -> str:
    name = "U" if call.name == "u" else call.name
    if not all(math.isfinite(a) for a in call.angles):
        raise DeviceError(f"an angle of `{name}` is not finite: nothing was sent")
    angles = f"({', '.join(repr(float(a)) for a in call.angles)})" if call.angles else ""
    return f"{name}{angles} {', '.join(f'q[{q}]' for q in call.qubits)};"
