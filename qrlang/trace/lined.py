"""What was played as lines of travel: every gate with its angles and what it made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from qrlang.analysis.circuits import Circuit, circuits, flat_element
from qrlang.analysis.cost import Roles
from qrlang.draw.names import Names
from qrlang.draw.picture import moment as when
from qrlang.draw.run.moment import Branch, Lines, Part, Vertex
from qrlang.draw.scene import gate_name
from qrlang.ir.program import (
    Angle,
    ApplyMatrix,
    Channel,
    Evolve,
    Expect,
    If,
    Linear,
    Measure,
    Op,
    Postselect,
    Prepare,
    Probabilities,
    Reset,
    Unitary,
    UseWeight,
)
from qrlang.ir.walk import defs, qubits_of, walk
from qrlang.probe.entropy import of_density
from qrlang.probe.trace import reduced
from qrlang.trace.layout import Array
from qrlang.trace.replay import Played, Seen, Shots, key


class Lined:
    """The circuits of what was played."""

    def __init__(self, played: Played, slopes: Mapping[str, Array]) -> None:
        self.played, self.slopes = played, slopes
        self.names = Names(played.program)
        self.roles = Roles(played.program)
        self.makers = {v.id: op for op in walk(played.program.body) for v in defs(op)}
        self.space_of = played.program.space_of
        self.readings: dict[int, str] = {}  # ops of readings, by their circuit
        self.circuit_of: dict[int, str] = {}  # every op, by its circuit

    def lines(self) -> tuple[Lines, ...]:
        return tuple(self._circuit(c) for c in circuits(self.played.program))

    def _circuit(self, circuit: Circuit) -> Lines:
        self.rows = {q: i for i, q in enumerate(circuit.qubits)}
        self._seen_last: Seen | None = None
        for op in walk(circuit.ops):
            self.circuit_of[key(op)] = circuit.name
        parts = tuple(self._parts(circuit.ops))
        ends: list[int] = []
        for r in circuit.registers:
            ends.append((ends[-1] if ends else 0) + r.size)
        return Lines(
            circuit.name, self._caption(circuit),
            tuple(f"{r.name}[{i}]" for r in circuit.registers for i in range(r.size)),
            frozenset(e - 1 for e in ends[:-1]),
            self._begins(circuit),
            circuit.loop is not None and not circuit.fresh, parts, self._entropies(circuit),
        )  # fmt: skip

    def _begins(self, circuit: Circuit) -> tuple[str, ...]:
        """What stands at the left end of each line. What comes after a recurrence does not go on
        from a moment in the middle of it."""
        place, times = self.played.place, self.played.times
        if circuit.loop is None and any(place[name] + 1 < times[name] for name in place):
            return ("…",) * len(circuit.qubits)
        return tuple(circuit.begins)

    def _caption(self, circuit: Circuit) -> str:
        if circuit.loop is None:
            return circuit.name.replace("_", " ", 1) if circuit.name else "the circuit"
        name = circuit.loop.name
        at, count = self.played.place.get(name, 0) + 1, self.played.times.get(name, 0)
        said = f"moment {at} of {count}: {when(circuit.loop, self.names)}"
        return f"{circuit.name}, {said}" if circuit.name != "step" else said

    def _entropies(self, circuit: Circuit) -> tuple[float, ...]:
        if self._seen_last is None:
            return (0.0,) * len(circuit.qubits)
        return tuple(self._entropy(self._seen_last.after, q) for q in circuit.qubits)

    def _parts(self, ops: tuple[Op, ...]) -> Iterator[Part]:
        for op in ops:
            seen = self.played.seen.get(key(op))
            if isinstance(op, If):
                yield from self._if(op)
            elif seen is not None:
                self._seen_last = seen
                yield from self._one(op, seen)

    def _if(self, op: If) -> Iterator[Part]:
        name = self.names.of(op.condition)
        chance = self._chance(op)
        for body, said, p in ((op.then, f"if {name}", chance),
                              (op.orelse, f"if not {name}", 1 - chance)):  # fmt: skip
            parts = tuple(self._parts(body))
            if parts:
                yield Branch(said, p, parts)

    def _chance(self, op: If) -> float:
        maker = self.makers.get(op.condition.id)
        seen = self.played.seen.get(key(maker)) if maker is not None else None
        if seen is not None and op.index < len(seen.bits):
            return seen.bits[op.index]
        return float("nan")

    def _one(self, op: Op, seen: Seen) -> Iterator[Vertex]:
        at = self.rows
        match op:
            case Unitary():
                for element in op.elements:
                    yield from self._gates(element, seen)
            case Evolve():
                qubits = qubits_of(op)
                if qubits:
                    yield Vertex("blob", "exp(−itH)", tuple(at[q] for q in qubits),
                                 angles=(self._number(op.time, seen),),
                                 made=self._made(qubits, seen))  # fmt: skip
            case ApplyMatrix():
                name = (op.matrix.name or "U") + ("†" if op.adjoint else "")
                yield Vertex("blob", name, tuple(at[q] for q in op.qubits),
                             tuple(at[q] for q in op.controls), tuple(at[q] for q in op.zeros),
                             made=self._made(qubits_of(op), seen))  # fmt: skip
            case Prepare():
                yield Vertex("blob", op.amplitudes.name or "state", tuple(at[q] for q in op.qubits),
                             made=self._made(op.qubits, seen))  # fmt: skip
            case Expect() | Probabilities():
                self.readings[op.out.id] = self.circuit_of.get(key(op), "")
                qubits = qubits_of(op)
                numbers = tuple(float(x) for x in np.ravel(seen.values[op.out.id]))
                single = self._per_qubit(op, numbers)
                yield Vertex("read", self.names.of(op.out), tuple(at[q] for q in qubits),
                             values=single)  # fmt: skip
            case Measure():
                for k, q in enumerate(op.qubits):
                    yield Vertex("measure", self.names.of(op.out), (at[q],), values=(seen.bits[k],))
            case Reset():
                for q in op.qubits:
                    yield Vertex("mark", "|0⟩", (at[q],))
            case Postselect():
                for q, bit in zip(op.qubits, op.bits, strict=True):
                    yield Vertex("mark", f"⟨{bit}|", (at[q],))
            case Channel():
                numbers = tuple(self._number(a, seen) for a in op.args)
                yield Vertex("noise", op.name, tuple(at[q] for q in op.qubits), angles=numbers)

    def _per_qubit(
        self, op: Expect | Probabilities, numbers: tuple[float, ...]
    ) -> tuple[float, ...]:
        """One number for each qubit, where each is read by itself; else none."""
        if isinstance(op, Probabilities):
            return ()
        found: dict[int, float] = {}
        for observable, x in zip(op.observables, numbers, strict=True):
            if len(observable) != 1 or len(observable[0][1]) != 1:
                return ()
            found.setdefault(observable[0][1][0][0], x)
        return tuple(found[q] for q in qubits_of(op))

    def _gates(self, element: Any, seen: Seen) -> Iterator[Vertex]:
        gates = list(flat_element(element))
        for k, gate in enumerate(gates):
            qubits = (*gate.controls, *gate.zeros, *gate.qubits)
            kind = "entangler" if len(qubits) > 1 else "gate"
            angles = tuple(self._number(a, seen) for a in gate.angles)
            terms = [a for a in gate.angles if isinstance(a, Angle)]
            source, slope = self._source(terms)
            last = k == len(gates) - 1
            yield Vertex(
                kind, gate_name(gate.name), tuple(self.rows[q] for q in gate.qubits),
                tuple(self.rows[q] for q in gate.controls),
                tuple(self.rows[q] for q in gate.zeros), angles,
                self.roles.angle(*terms) if terms else "", source, slope,
                self._made(qubits, seen) if kind == "entangler" and last else 0.0,
            )  # fmt: skip

    def _source(self, angles: list[Angle]) -> tuple[str, float | None]:
        """The weight or layer behind an angle, and the loss by it where it is a weight itself."""
        for angle in angles:
            for term in angle.terms:
                value, index = self.names.element(term.value, term.index)
                maker = self.makers.get(value.id)
                if isinstance(maker, UseWeight):
                    slope = self.slopes.get(maker.weight)
                    flat = None if slope is None else np.ravel(slope)
                    known = flat is not None and index < len(flat)
                    return maker.weight, float(flat[index]) if known and flat is not None else None
                if isinstance(maker, Linear):
                    return maker.weight.rpartition(".")[0], None
                return self.names.of(value), None
        return "", None

    def _number(self, angle: Any, seen: Seen) -> float:
        if not isinstance(angle, Angle):  # a product
            return float(angle.factor * self._number(angle.a, seen) * self._number(angle.b, seen))
        total = angle.constant
        for term in angle.terms:
            total += term.coefficient * float(np.ravel(seen.values[term.value.id])[term.index])
        return float(total)

    # --- entanglement ---------------------------------------------------------------------------

    def _made(self, qubits: Sequence[int], seen: Seen) -> float:
        """Half the sum, over the qubits, of how much the entropy of each has grown. For two qubits
        that is half the growth of the mutual information between them."""
        after = sum(self._entropy(seen.after, q) for q in qubits)
        return (after - sum(self._entropy(seen.before, q) for q in qubits)) / 2

    def _entropy(self, shots: Shots, qubit: int) -> float:
        space = self.space_of[qubit]
        total = sum(w for w, _ in shots) or 1.0
        found = 0.0
        for weight, states in shots:
            state = states[space]
            if qubit in state.qubits:
                rho = reduced(state.flat(), len(state.qubits), [state.qubits.index(qubit)])
                found += weight / total * of_density(rho)
        return found
