"""Circuits as they are sent, by Aer as by IBM: transpiled once each, with their angles; how likely
they go wrong; and their bits, read back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qrlang.backends.qiskit.circuits import build
from qrlang.backends.qiskit.decoupled import decoupled
from qrlang.backends.qiskit.timing import (
    Schedule,
    coherence,
    forgotten,
    lasts,
    schedule,
    waiting,
)
from qrlang.backends.qiskit.twirled import flips, twirled
from qrlang.hardware.device import Bits, DeviceError, ErrorRates, Footprint, Template, Work
from qrlang.hardware.twirl import Rules


class Compiled:
    """Transpiles each template once. `target`: of a device that says how long things take."""

    def __init__(self, backend: Any, level: int, seed: int, target: Any = None) -> None:
        self._backend, self._level, self._seed = backend, level, seed
        self.target = target
        self._kept: dict[Template, Any] = {}
        self._waiting: dict[Template, Any] = {}
        self._rules, self._flips = Rules(), flips(backend.target.operation_names)
        self._sizes: dict[Template, Footprint] = {}
        self._managers: dict[tuple[int, ...], Any] = {}

    def __call__(self, template: Template) -> Any:
        if template not in self._kept:
            found = self.of(build(template)[0], template.places)
            self._kept[template] = folded(found, template.fold)
        return self._kept[template]

    def sent(self, template: Template) -> Iterator[Any]:
        """The circuits that share its shots. Made anew each time: they are many."""
        circuit = self(template)
        for k in range(template.twirl):
            found = circuit
            if template.twirl > 1:
                lot = np.random.default_rng([self._seed, k, len(circuit.data)])
                found = twirled(circuit, lot, self._rules, self._flips)
            yield decoupled(found, self.target) if template.decouple else found

    def waiting(self, template: Template) -> Iterator[Any]:
        """The same with delays where qubits wait: a simulator would not know of them."""
        if self.target is None:
            yield from self.sent(template)
        elif template.twirl > 1:
            for circuit in self.sent(template):
                yield waiting(circuit, schedule(circuit, self.target))
        else:
            if template not in self._waiting:
                circuit = next(self.sent(template))
                self._waiting[template] = waiting(circuit, schedule(circuit, self.target))
            yield self._waiting[template]

    def footprint(self, template: Template) -> Footprint:
        """Counted in the circuit that is sent; where the device says how likely things go wrong
        and how long they take, also how likely nothing does."""
        if template not in self._sizes:
            self._sizes[template] = self._size(template)
        return self._sizes[template]

    def _size(self, template: Template) -> Footprint:
        circuit, target = next(self.sent(template)), self.target
        found = Counted([0] * (circuit.num_qubits + circuit.num_clbits))
        whole = schedule(circuit, target) if target is not None else Schedule()
        found.add(circuit, target, whole, range(len(found.level)), (), 1.0)
        size = Footprint(max(found.level, default=0), found.one, found.two)
        if target is None:
            return size
        said = [t2 for q in self.places(template) if (t2 := coherence(target, q)[1]) < math.inf]
        return replace(size, expected=found.kept, seconds=whole.seconds,
                       coherence=min(said, default=None))  # fmt: skip

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

    def inner_places(self, template: Template) -> dict[int, int]:
        """The same of the bits of the middle that are always read."""
        circuit = self(template)
        numbers = {bit: k for r in circuit.cregs if r.name == "mid" for k, bit in enumerate(r)}
        return {
            numbers[item.clbits[0]]: circuit.find_bit(item.qubits[0]).index
            for item in circuit.data
            if item.operation.name == "measure" and item.clbits[0] in numbers
        }

    def _passes(self, places: tuple[int, ...]) -> Any:
        if places not in self._managers:
            from qiskit.transpiler import generate_preset_pass_manager

            free = None if self.target is None else any_angle(self.target)
            self._managers[places] = generate_preset_pass_manager(
                self._level, self._backend if free is None else None, free,
                seed_transpiler=self._seed, initial_layout=list(places) or None,
            )  # fmt: skip
        return self._managers[places]


def pubs(
    works: Sequence[Work], circuits: Callable[[Template], Iterable[Any]], alike: bool = False
) -> list[list[Any]]:
    """Of each work one for each circuit, its angles broadcast. A circuit without angles has no
    rows: its shots are those of all of them, or, if all have to be `alike`, it is there for each.
    """
    found: list[list[Any]] = []
    for work in works:
        if not np.all(np.isfinite(work.angles)):
            raise DeviceError("an angle is not a finite number: nothing has been sent")
        shots = work.shots // work.template.twirl
        mine: list[Any] = []
        for circuit in circuits(work.template):
            columns = used(circuit)
            if columns:
                mine.append((circuit, work.angles[:, columns], shots))
            elif alike:
                mine += [(circuit, None, shots)] * len(work.angles)
            else:
                mine.append((circuit, None, shots * len(work.angles)))
        found.append(mine)
    return found


def any_angle(target: Any) -> Any:
    """The device without gates that take some angles only, such as `rzz` from 0 to π/2: a circuit
    is transpiled once for all its angles, and a gate is undone with the opposite one. None if it
    has none of them."""
    bound = getattr(target, "gate_has_angle_bounds", lambda _: False)
    narrow = {name for name in target.operation_names if bound(name)}
    if not narrow:
        return None
    from qiskit.transpiler import Target

    made = Target(
        dt=target.dt, granularity=target.granularity, min_length=target.min_length,
        pulse_alignment=target.pulse_alignment, acquire_alignment=target.acquire_alignment,
        qubit_properties=target.qubit_properties, num_qubits=target.num_qubits,
        concurrent_measurements=target.concurrent_measurements,
    )  # fmt: skip
    for name in sorted({*target.operation_names} - narrow):
        where = target[name]
        made.add_instruction(target.operation_from_name(name),
                             None if None in where else dict(where.items()), name=name)  # fmt: skip
    return made


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
        # Circuit by circuit, of each its rows.
        whole = np.concatenate(tables)
        whole = whole.reshape(work.template.twirl, len(work.angles), -1, whole.shape[-1])
        out.append(whole.swapaxes(0, 1).reshape(len(work.angles), work.shots, -1))
    return out


def _table(data: Any, template: Template) -> Bits:
    """[shots of all rows, qubits + bits]"""
    parts = [data.meas.to_bool_array(order="little")]
    if template.bits:
        parts.append(data.mid.to_bool_array(order="little"))
    table = np.concatenate(parts, axis=-1).astype(np.uint8)
    return table.reshape(-1, table.shape[-1])


@dataclass(slots=True)
class Counted:
    """Gates, and how likely it is that none of them, no reading and no waiting goes wrong."""

    level: list[int]  # of each qubit, then of each bit
    one: int = 0
    two: int = 0
    kept: float = 1.0

    def add(
        self, circuit: Any, target: Any, times: Schedule, lines: Sequence[int],
        under: Sequence[int], chance: float,
    ) -> None:  # fmt: skip
        """`lines`: where the qubits and bits of an inner circuit are. `under`: the bits that it
        depends on. `chance`: that it is run at all, if all bits are equally likely."""
        for i, item in enumerate(circuit.data):
            gate = item.operation
            qubits = tuple(lines[circuit.find_bit(q).index] for q in item.qubits)
            first = circuit.num_qubits
            bits = [lines[first + circuit.find_bit(c).index] for c in item.clbits]
            if blocks := getattr(gate, "blocks", None):
                known = times.inner.get(i) or [Schedule()] * len(blocks)
                for block, inner in zip(blocks, known, strict=True):
                    self.add(block, target, inner, (*qubits, *bits), (*under, *bits),
                             chance / 2 ** len(bits))  # fmt: skip
            if blocks or gate.name == "barrier":
                continue
            if gate.name == "delay":
                self.kept *= (1 - forgotten(target, qubits[0], lasts(gate, target))) ** chance
                continue
            touched = (*qubits, *bits, *under)
            depth = 1 + max(self.level[x] for x in touched)
            for x in touched:
                self.level[x] = depth
            if gate.name not in ("measure", "reset"):
                self.one += len(qubits) == 1
                self.two += len(qubits) > 1
            if target is not None:
                self.kept *= (1 - _error(target, gate.name, qubits)) ** chance
        for _, q, seconds in times.waits:
            self.kept *= (1 - forgotten(target, lines[q], seconds)) ** chance


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
