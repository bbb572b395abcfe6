"""Circuits as they are sent, by Aer as by IBM: transpiled once each, with their angles; how likely
they go wrong; and their bits, read back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qrlang.backends.qiskit.circuits import build
from qrlang.hardware.device import Bits, DeviceError, ErrorRates, Footprint, Template, Work


class Compiled:
    """Transpiles each template once."""

    def __init__(self, backend: Any, level: int, seed: int) -> None:
        self._backend, self._level, self._seed = backend, level, seed
        self._kept: dict[Template, Any] = {}
        self._managers: dict[tuple[int, ...], Any] = {}

    def __call__(self, template: Template) -> Any:
        if template not in self._kept:
            found = self.of(build(template)[0], template.places)
            self._kept[template] = folded(found, template.fold)
        return self._kept[template]

    def of(self, circuit: Any, places: tuple[int, ...] = ()) -> Any:
        return self._passes(places).run(circuit)

    def places(self, template: Template) -> tuple[int, ...]:
        """Where the qubits are when they are read."""
        circuit = self(template)
        (register,) = (r for r in circuit.cregs if r.name == "meas")
        found = dict.fromkeys(range(template.qubits), 0)
        for item in circuit.data:
            if item.operation.name == "measure" and item.clbits[0] in register:
                bit = register[:].index(item.clbits[0])
                found[bit] = circuit.find_bit(item.qubits[0]).index
        return tuple(found.values())

    def _passes(self, places: tuple[int, ...]) -> Any:
        if places not in self._managers:
            from qiskit.transpiler import generate_preset_pass_manager

            self._managers[places] = generate_preset_pass_manager(
                self._level, self._backend, seed_transpiler=self._seed,
                initial_layout=list(places) or None,
            )  # fmt: skip
        return self._managers[places]


def pubs(works: Sequence[Work], compiled: Any, alike: bool = False) -> list[Any]:
    """One for each template, its angles broadcast. A circuit without angles has no rows: its shots
    are those of all of them, or, if all have to be `alike`, it is there for each."""
    found: list[Any] = []
    for work in works:
        if not np.all(np.isfinite(work.angles)):
            raise DeviceError("an angle is not a finite number: nothing has been sent")
        circuit = compiled(work.template)
        columns = used(circuit)
        if columns:
            found.append((circuit, work.angles[:, columns], work.shots))
        elif alike:
            found += [(circuit, None, work.shots)] * work.circuits
        else:
            found.append((circuit, None, work.executions))
    return found


def folded(circuit: Any, times: int) -> Any:
    """Every gate on two qubits done, undone and done again. After transpiling, which would see
    that they cancel, and so that gates of its own count too."""
    if times == 1:
        return circuit
    from qiskit.circuit import Gate  # noise of the model's own can't be undone

    made = circuit.copy_empty_like()
    for item in circuit.data:
        gate = item.operation
        made.append(item)
        if len(item.qubits) > 1 and isinstance(gate, Gate):
            for k in range(1, times):
                made.append(gate.inverse() if k % 2 else gate, item.qubits, item.clbits)
    return made


def used(circuit: Any) -> list[int]:
    """The columns of the table that a circuit asks for, in the order in which it binds them:
    transpiling may have left some out."""
    return [p.index for p in circuit.parameters]


def bits_of(result: Any, works: Sequence[Work]) -> list[Bits]:
    """The bits of each work, in our order. A register's array counts from its last bit, unless
    asked for otherwise."""
    out: list[Bits] = []
    found = iter(result)
    for work in works:
        tables: list[Bits] = []
        while sum(map(len, tables)) < work.executions:
            tables.append(_table(next(found).data, work.template))
        out.append(np.concatenate(tables).reshape(work.circuits, work.shots, -1))
    return out


def _table(data: Any, template: Template) -> Bits:
    """[shots of all rows, qubits + bits]"""
    parts = [data.meas.to_bool_array(order="little")]
    if template.bits:
        parts.append(data.mid.to_bool_array(order="little"))
    table = np.concatenate(parts, axis=-1).astype(np.uint8)
    return table.reshape(-1, table.shape[-1])


def footprint(circuit: Any, target: Any) -> Footprint:
    """Counted in the circuit that is sent; with a target's error rates, also how likely it is that
    no gate and no reading goes wrong."""
    one = two = 0
    kept = 1.0
    for item in circuit.data:
        name, width = item.operation.name, len(item.qubits)
        if name == "barrier":
            continue
        if name not in ("measure", "reset"):
            one += width == 1
            two += width > 1
        if target is not None:
            kept *= 1 - _error(target, name, tuple(circuit.find_bit(q).index for q in item.qubits))
    depth = circuit.depth(lambda item: item.operation.name != "barrier")
    return Footprint(depth, one, two, kept if target is not None else None)


def misread(target: Any, places: tuple[int, ...]) -> tuple[float, ...]:
    """How often each qubit is read wrongly."""
    return tuple(_error(target, "measure", (q,)) for q in places)


def _error(target: Any, name: str, qubits: tuple[int, ...]) -> float:
    try:
        found = target[name][qubits].error
    except (KeyError, AttributeError):
        return 0.0
    return float(found or 0.0)


def typical(target: Any) -> ErrorRates:
    """Medians over the device."""
    one: list[float] = []
    two: list[float] = []
    read: list[float] = []
    for name in target.operation_names:
        for qubits, found in (target[name] or {}).items():
            if qubits is None or found is None or found.error is None:
                continue
            where = read if name == "measure" else one if len(qubits) == 1 else two
            if name != "reset":
                where.append(found.error)
    usual = [float(np.median(x)) if x else 0.0 for x in (one, two, read)]
    return ErrorRates(usual[0], usual[1], usual[2], average=True)
