"""A template as a `QuantumCircuit`. Qubit q of one is qubit q of the other."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from itertools import groupby
from typing import Any

from qrlang.backends.qiskit.noise import error
from qrlang.gates import CHANNELS, GATES
from qrlang.hardware.device import Slot, Step, Template

PARAMETERS = "theta"
Cond = tuple[tuple[int, int], ...]


def build(template: Template, measured: bool = True) -> tuple[Any, Any]:
    """The circuit, and the vector of its parameters.

    One `ParameterVector`: separate `Parameter`s would be bound in the order of their names, in
    which p10 comes before p2. With `measured`, all qubits are at the end, into the register `meas`;
    bits of the middle are in the register `mid`.
    """
    from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
    from qiskit.circuit import ParameterVector

    theta = ParameterVector(PARAMETERS, template.parameters)
    circuit = QuantumCircuit(QuantumRegister(template.qubits, "q"))
    if template.bits:
        circuit.add_register(ClassicalRegister(template.bits, "mid"))
    for when, steps in groupby(template.steps, lambda step: step.when):
        add(circuit, when, steps, theta)
    for qubit, letter in template.basis:
        if letter == "Y":
            circuit.sdg(qubit)
        if letter in "XY":
            circuit.h(qubit)
    if measured:
        circuit.add_register(ClassicalRegister(template.qubits, "meas"))
        circuit.barrier()
        circuit.measure(range(template.qubits), circuit.cregs[-1])
    return circuit, theta


def add(circuit: Any, when: Cond, steps: Iterable[Step], theta: Any) -> None:
    """Those under the same bits in one `if`: a device waits at each."""
    with circuit.if_test(_condition(circuit, when)) if when else nullcontext():
        for step in steps:
            _plain(circuit, step, theta)


def _condition(circuit: Any, when: Cond) -> Any:
    """One bit as such; several in one expression, since devices take no `if` within an `if`."""
    from qiskit.circuit.classical import expr

    if len(when) == 1:
        ((bit, value),) = when
        return circuit.clbits[bit], value
    parts = [
        expr.lift(circuit.clbits[bit]) if value else expr.logic_not(circuit.clbits[bit])
        for bit, value in when
    ]
    whole = parts[0]
    for part in parts[1:]:
        whole = expr.logic_and(whole, part)
    return whole


def _plain(circuit: Any, step: Step, theta: Any) -> None:
    match step.name:
        case "measure":
            circuit.measure(step.qubits[0], circuit.clbits[step.bit])
        case "reset":
            circuit.reset(step.qubits[0])
        case "barrier":
            circuit.barrier(*step.qubits)
        case _ if step.name in CHANNELS:
            channel = error(step.name, [float(a) for a in step.angles if not isinstance(a, Slot)])
            circuit.append(channel.to_instruction(), step.qubits)
        case _:
            angles = [theta[a.index] if isinstance(a, Slot) else a for a in step.angles]
            gate = gate_of(step.name, angles)
            count = len(step.controls) + len(step.zeros)
            if count:
                ones = (1 << len(step.controls)) - 1  # the first control is the lowest bit
                gate = gate.control(count, ctrl_state=ones, annotated=False)
            circuit.append(gate, [*step.controls, *step.zeros, *step.qubits])


def gate_of(name: str, angles: list[Any]) -> Any:
    """The gate object. `rzx` has Z on its first qubit in both worlds."""
    from qiskit.circuit import library

    if name == "iswapdg":
        return library.iSwapGate().inverse()
    if name == "xx_plus_yy":
        return library.XXPlusYYGate(*angles)
    return getattr(library, CLASSES[name])(*angles)


CLASSES = {
    "id": "IGate", "x": "XGate", "y": "YGate", "z": "ZGate", "h": "HGate", "s": "SGate",
    "sdg": "SdgGate", "t": "TGate", "tdg": "TdgGate", "sx": "SXGate", "sxdg": "SXdgGate",
    "rx": "RXGate", "ry": "RYGate", "rz": "RZGate", "p": "PhaseGate", "u": "UGate", "r": "RGate",
    "swap": "SwapGate", "iswap": "iSwapGate", "rxx": "RXXGate", "ryy": "RYYGate",
    "rzz": "RZZGate", "rzx": "RZXGate",
}  # fmt: skip

assert {*CLASSES, "iswapdg", "xx_plus_yy"} == set(GATES)
