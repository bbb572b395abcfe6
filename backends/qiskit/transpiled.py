"""Circuits as they are sent, by Aer as by IBM: transpiled once each, with their angles; how likely
they go wrong; and their bits, read back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    from qiskit.circuit import ControlFlowOp, Gate  # noise of the model's own can't be undone

    made = circuit.copy_empty_like()
    for item in circuit.data:
        gate = item.operation
        if isinstance(gate, ControlFlowOp):
            gate = gate.replace_blocks(folded(block, times) for block in gate.blocks)
            item = item.replace(operation=gate)
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
    depth = [0] * (circuit.num_qubits + circuit.num_clbits)
    for name, qubits, bits, chance in _flat(circuit):
        if name == "barrier":
            continue
        lines = [*qubits, *(circuit.num_qubits + b for b in bits)]
        level = 1 + max(depth[x] for x in lines)
        for x in lines:
            depth[x] = level
        if name not in ("measure", "reset"):
            one += len(qubits) == 1
            two += len(qubits) > 1
        if target is not None:
            kept *= (1 - _error(target, name, qubits)) ** chance
    return Footprint(max(depth, default=0), one, two, kept if target is not None else None)


def _flat(circuit: Any) -> Iterator[tuple[str, tuple[int, ...], tuple[int, ...], float]]:
    """Every instruction, those under an `if` too: its name, its qubits, the bits that it touches or
    depends on, and how likely it is to be run at all, if all bits are equally likely."""
    for item in circuit.data:
        qubits = tuple(circuit.find_bit(q).index for q in item.qubits)
        bits = tuple(circuit.find_bit(c).index for c in item.clbits)
        blocks = getattr(item.operation, "blocks", None)
        if blocks is None:
            yield item.operation.name, qubits, bits, 1.0
        for block in blocks or ():
            for name, inner, _, chance in _flat(block):
                yield name, tuple(qubits[q] for q in inner), bits, chance / 2 ** len(bits)


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
        if name == "reset" or (name.startswith("measure") and name != "measure"):
            continue
        for qubits, found in (target[name] or {}).items():
            if qubits is None or found is None or found.error is None:
                continue
            where = read if name == "measure" else one if len(qubits) == 1 else two
            where.append(found.error)
    usual = [float(np.median(x)) if x else 0.0 for x in (one, two, read)]
    return ErrorRates(usual[0], usual[1], usual[2], average=True)
