"""The interpreter that defines what a program means. Slow and obvious; double precision.

One call runs one sequence. Ops run in order; this is what each kind means.

**Shots.** Think of very many shots of the whole program, run side by side, op by op. Without a
`measure` all of them are alike. A measured bit may differ from shot to shot, and with it
everything computed from it (a *per-shot* value) and what an `if` on it does.

**read** (`Expect`, `Probabilities`) is the average over all shots that come to it at that moment:
the same number for each, and the state is not touched. Inside an `if` those are the shots that
took the branch. With `shots` S it is an estimate from S samples of the same average: each setting
is measured S times (without settings: each observable by itself, its strings in as few groups as
they agree in, first fit). With `weak` θ each Pauli string, in order, is coupled to an ancilla in
|0⟩ by `exp(-i θ/2 P ⊗ X)` whose Y is measured; `-⟨Y⟩ / sin θ` is the number read, on average exact.
Each such string then leaves its mark: coherence between P = +1 and P = -1 is multiplied by cos θ,
so a later string that does not commute with it reads the disturbed state.

**measure** collapses. **reset** and the end of a qubit's life discard it: the rest goes on as the
average over what it was. **Postselect** drops every shot with other bits; from there on "all
shots" are those that are left. Its value is the share that was left of those that came to it.

**Outputs** that are per-shot are given as their average over all shots left at the end.

**Noise** channels, maximally mixed qubits and amplitudes are what their tables say; numbers of a
channel have to be probabilities. `Evolve` is `exp(-i t H)` exactly (by eigenvalues up to 8 qubits,
beyond by a power series in short pieces), or the given number of equal Trotter steps, each the
exponentials of the terms in order.

**Qubits** are big-endian: the lowest number is the most significant bit. Each space has a state
of its own, a vector as long as that is exact and else a density matrix. Different spaces can be
correlated through measured bits only.

**Branches.** Shots with the same past bits are one branch. When nothing that is still needed
tells two branches apart (and their states differ in one space at most) they become one, with the
mixture as its state. Values that only outputs need are averaged as soon as they are known. A
program that still needs more than `MOST_BRANCHES` is refused.

**Details.** LayerNorm: over the last axis, epsilon 1e-5. Dropout: the identity. `asin` and `acos`
clamp. `where(x, y, z)`: y where x > 0.5. A trained unitary is exp(-i Σ c_P P) with the Pauli words
in the order II, IX, IY, IZ, XI, … Items of extra steps are zeros, or token 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qrlang.backends.reference import classical, gates, inputs, sampling
from qrlang.backends.reference.branches import Branch, Liveness, average, condition, merge
from qrlang.backends.reference.errors import RunError
from qrlang.backends.reference.state import Array, State, empty, maximally_mixed, zeros
from qrlang.backends.reference.weights import initial_weights
from qrlang.ir.program import (
    Alloc,
    Angle,
    ApplyMatrix,
    CallExtern,
    Channel,
    Evolve,
    Expect,
    Free,
    If,
    Loop,
    Measure,
    Observable,
    Op,
    PauliString,
    Postselect,
    Prepare,
    Probabilities,
    Program,
    Reset,
    Unitary,
    UseWeight,
    Value,
)
from qrlang.ir.walk import qubits_of

Watch = Callable[[str, int, Sequence[Branch]], None]
Look = Callable[[Op, Sequence[Branch], bool], None]

METHODS = ("auto", "statevector", "density")
MOST_BRANCHES = 4096


@dataclass(frozen=True, slots=True)
class Result:
    """What a run gives."""

    outputs: dict[str, Array]
    """By name, "" for the model's own result; a sequence is one array [T, …]."""

    probabilities: tuple[float, ...]
    """Of every post-selection, in the order they were reached."""

    ensemble: tuple[tuple[float, dict[int, State]], ...]
    """The branches left at the end: their shares of all shots, and the state of each space."""

    @property
    def states(self) -> dict[int, Array]:
        """For each space that still has qubits, at the end: a vector [2^n], or a density matrix
        [2^n, 2^n] averaged over branches."""
        first = self.ensemble[0][1]
        return {space: self._state(space) for space, state in first.items() if state.qubits}

    def _state(self, space: int) -> Array:
        if len(self.ensemble) == 1:
            return self.ensemble[0][1][space].flat()
        parts = [share * states[space].mixed().flat() for share, states in self.ensemble]
        return np.sum(parts, axis=0)


def run(
    program: Program,
    inputs: Mapping[str, Any] | None = None,
    targets: Mapping[str, Any] | None = None,
    weights: Mapping[str, Any] | None = None,
    seed: int = 0,
    method: str = "auto",
    externs: Mapping[str, Callable[..., Any]] | None = None,
    watch: Watch | None = None,
    look: Look | None = None,
) -> Result:
    """Run a (verified) program on one sequence.

    Sequences are arrays [T, …], tokens and classes whole numbers, states complex vectors,
    unitaries complex matrices. Without `weights` they are `initial_weights(program, seed)`; the
    seed also drives readouts from shots. `externs` holds a function for each extern layer.
    `method`: "statevector" refuses what is not pure, "density" uses density matrices throughout,
    "auto" goes from one to the other when it has to. `watch` is called at the end of each step of
    a recurrence with its name, the number of the step and all branches, which it must not change;
    `look` before and after each op, with the branches that come to it, and whether it is done.
    """
    if method not in METHODS:
        raise RunError(f"there is no method {method!r} (there are: {', '.join(METHODS)})")
    with np.errstate(all="ignore"):
        machine = _Machine(program, weights, seed, method, externs or {}, watch, look)
        return machine.run(inputs or {}, targets)


@dataclass(slots=True)
class _Machine:
    program: Program
    given_weights: Mapping[str, Any] | None
    seed: int
    method: str
    externs: Mapping[str, Callable[..., Any]]
    watch: Watch | None
    look: Look | None
    weights: dict[str, Array] = field(init=False)
    liveness: Liveness = field(init=False)
    space_of: dict[int, int] = field(init=False)
    rng: np.random.Generator = field(init=False)
    probabilities: list[float] = field(default_factory=list)
    in_if: int = 0

    def run(self, given: Mapping[str, Any], targets: Mapping[str, Any] | None) -> Result:
        p = self.program
        if self.given_weights is None:
            self.weights = initial_weights(p, self.seed)
        else:
            self.weights = inputs.weights_of(p, self.given_weights)
        self.liveness = Liveness(p)
        self.rng = np.random.default_rng(self.seed)
        self.space_of = p.space_of
        start = Branch(values=dict(inputs.inputs_of(p, given, targets)))
        start.states = {r.space: empty(self.method != "density") for r in p.registers}
        branches = self._ops(p.body, [start])
        outputs = {o.name: self._output(o.value, branches) for o in p.outputs}
        total = sum(b.weight for b in branches)
        ensemble = tuple((b.weight / total, b.states) for b in branches)
        return Result(outputs, tuple(self.probabilities), ensemble)

    def _output(self, value: Value, branches: list[Branch]) -> Array:
        first = branches[0].values[value.id]
        if all(b.values[value.id] is first for b in branches):
            return np.asarray(first)
        if value.type.kind in ("token", "class"):
            raise RunError(f"the output %{value.id} is {value.type}: it has no average over shots")
        return np.asarray(average(branches, lambda b: b.values[value.id]))

    # --- control --------------------------------------------------------------------------------

    def _ops(self, ops: Sequence[Op], branches: list[Branch]) -> list[Branch]:
        for op in ops:
            if not branches:
                return branches
            if self.look is not None:
                self.look(op, branches, False)
            branches = self._op(op, branches)
            if self.look is not None:
                self.look(op, branches, True)
            if len(branches) > 1 and not isinstance(op, Unitary):
                branches = self._merge(branches, self.liveness.after[id(op)])
        return branches

    def _merge(self, branches: list[Branch], live: frozenset[int]) -> list[Branch]:
        # Inside an `if` these are not all shots, so nothing can be averaged there.
        settled = frozenset() if self.in_if else self.liveness.outputs_only
        branches = merge(branches, live, settled, mix=self.method != "statevector")
        if len(branches) > MOST_BRANCHES:
            raise RunError(
                f"more than {MOST_BRANCHES} different outcomes of measured bits are still needed: "
                "the program keeps too many of them (in a carry, or in what it emits)"
            )
        return branches

    def _op(self, op: Op, branches: list[Branch]) -> list[Branch]:
        match op:
            case Loop():
                return self._loop(op, branches)
            case If():
                return self._if(op, branches)
            case Expect():
                self._read(op, branches)
            case Probabilities():
                self._read_probabilities(op, branches)
            case Measure():
                return [after for b in branches for after in self._measure(op, b)]
            case Postselect():
                return self._postselect(op, branches)
            case _:
                for b in branches:
                    self._one(op, b)
        return branches

    def _if(self, op: If, branches: list[Branch]) -> list[Branch]:
        yes = [b for b in branches if condition(op, b)]
        no = [b for b in branches if not condition(op, b)]
        self.in_if += 1
        found = self._ops(op.then, yes) + self._ops(op.orelse, no)
        self.in_if -= 1
        return self._some(found)

    def _some(self, branches: list[Branch]) -> list[Branch]:
        if not branches and not self.in_if:
            raise RunError("a post-selection on an outcome that never happens leaves no shots")
        return branches

    def _loop(self, op: Loop, branches: list[Branch]) -> list[Branch]:
        steps = 0
        for i, item in enumerate(op.items):
            length = len(branches[0].values[item.sequence.id])
            if i and length != steps:
                first = op.items[0].sequence
                raise RunError(
                    f"loop {op.name}: the sequences {first.name or first.id} and "
                    f"{item.sequence.name or item.sequence.id} have {steps} and {length} moments"
                )
            steps = length
        for b in branches:
            for carry in op.carries:
                b.values[carry.arg.id] = b.values[carry.initial.id]
            for emit in op.emits:
                b.values[emit.out.id] = ()
        for t in range(steps + op.extra):
            flag = np.array(float(t >= steps))
            for b in branches:
                for item in op.items:
                    b.values[item.item.id] = (
                        b.values[item.sequence.id][t] if t < steps else _nothing(item.item)
                    )
                if op.flag is not None:
                    b.values[op.flag.id] = flag
            branches = self._ops(op.body, branches)
            if self.watch is not None:
                self.watch(op.name, t, branches)
            branches = self._step_ends(op, branches)
        for b in branches:
            for carry in op.carries:
                b.values[carry.out.id] = b.values[carry.arg.id]
            for emit in op.emits:
                shape = inputs.moment_shape(emit.value.type)
                found = b.values[emit.out.id]
                b.values[emit.out.id] = np.array(found) if found else np.zeros((0, *shape))
        return branches

    def _step_ends(self, op: Loop, branches: list[Branch]) -> list[Branch]:
        for b in branches:
            kept = [b.values[carry.next.id] for carry in op.carries]
            for emit in op.emits:  # before the carries: what is emitted may be one of them
                b.values[emit.out.id] = (*b.values[emit.out.id], b.values[emit.value.id])
            for carry, value in zip(op.carries, kept, strict=True):
                b.values[carry.arg.id] = value
        if len(branches) < 2:
            return branches
        return self._merge(branches, self.liveness.between_steps(op))

    # --- readouts -------------------------------------------------------------------------------

    def _read(self, op: Expect, branches: list[Branch]) -> None:
        if op.shots:
            ensemble = [(b.weight, b.states) for b in branches]
            found = sampling.sample_expectations(op, ensemble, self.space_of, self.rng)
        else:
            found = np.array([self._expectation(o, op.weak, branches) for o in op.observables])
        for b in branches:
            b.values[op.out.id] = found

    def _expectation(self, observable: Observable, weak: float, branches: list[Branch]) -> float:
        total = 0.0
        for coefficient, string in observable:
            if not string:
                total += coefficient
                continue
            space = self.space_of[string[0][0]]
            total += coefficient * self._one_string(string, space, branches)
            if weak:
                self._weak_mark(string, space, weak, branches)
        return total

    def _one_string(self, string: PauliString, space: int, branches: list[Branch]) -> float:
        return float(average(branches, lambda b: b.states[space].expectation(string)))

    def _weak_mark(
        self, string: PauliString, space: int, weak: float, branches: list[Branch]
    ) -> None:
        for b in branches:
            self._set(b, space, b.states[space].dephase(string, math.cos(weak)), "a weak readout")

    def _read_probabilities(self, op: Probabilities, branches: list[Branch]) -> None:
        space = self.space_of[op.qubits[0]]
        found = average(branches, lambda b: b.states[space].probabilities(op.qubits))
        if op.shots:
            found = self.rng.multinomial(op.shots, found / found.sum()) / op.shots
        for b in branches:
            b.values[op.out.id] = found

    def _measure(self, op: Measure, branch: Branch) -> list[Branch]:
        space = self.space_of[op.qubits[0]]
        k = len(op.qubits)
        found = []
        likely = branch.states[space].probabilities(op.qubits)
        for outcome in np.flatnonzero(likely > 1e-15):
            bits = [int(outcome) >> (k - 1 - i) & 1 for i in range(k)]
            probability, state = branch.states[space].project(op.qubits, bits)
            if state is not None:
                after = branch.copy()
                after.weight *= probability
                after.states[space] = state
                after.values[op.out.id] = np.array(bits, float).reshape(op.out.type.shape)
                found.append(after)
        if len(found) > MOST_BRANCHES:
            raise RunError(f"one measurement with more than {MOST_BRANCHES} different outcomes")
        return found

    def _postselect(self, op: Postselect, branches: list[Branch]) -> list[Branch]:
        space = self.space_of[op.qubits[0]]
        before = sum(b.weight for b in branches)
        kept = []
        for b in branches:
            probability, state = b.states[space].project(op.qubits, op.bits)
            if state is not None:
                b.weight *= probability
                b.states[space] = state
                kept.append(b)
        left = sum(b.weight for b in kept) / before
        self.probabilities.append(left)
        for b in kept:
            b.values[op.out.id] = np.array(left)
            if not self.in_if:  # shares of all shots: keep them from getting ever smaller
                b.weight /= left * before
        return self._some(kept)

    # --- ops that do the same to every branch ---------------------------------------------------

    def _one(self, op: Op, b: Branch) -> None:
        match op:
            case Unitary():
                self._unitary(op, b)
            case Alloc():
                self._alloc(op, b)
            case Free():
                for space, qubits in self._by_space(op.qubits):
                    self._set(b, space, b.states[space].remove(qubits), "the end of a qubit's life")
            case Reset():
                for space, qubits in self._by_space(op.qubits):
                    state = b.states[space].remove(qubits).add(qubits, zeros(len(qubits)))
                    self._set(b, space, state, "reset")
            case Evolve():
                self._evolve(op, b)
            case ApplyMatrix():
                space = self.space_of[op.qubits[0]]
                matrix = b.values[op.matrix.id]
                matrix = matrix.conj().T if op.adjoint else matrix
                state = b.states[space].apply(matrix, op.qubits, op.controls, op.zeros)
                b.states[space] = state
            case Prepare():
                self._prepare(op, b)
            case Channel():
                space = self.space_of[op.qubits[0]]
                kraus = gates.kraus(op.name, [_number(a, b) for a in op.args])
                self._set(b, space, b.states[space].channel(kraus, op.qubits), op.name)
            case UseWeight():
                b.values[op.out.id] = self._weight(op)
            case CallExtern():
                b.values[op.out.id] = self._extern(op, b)
            case _:
                result = classical.compute(op, b.values, self.weights)
                if result is None:
                    raise RunError(f"the interpreter does not know {type(op).__name__}")
                b.values[op.out.id] = result  # type: ignore[attr-defined]

    def _set(self, b: Branch, space: int, state: State, why: str) -> None:
        if self.method == "statevector" and not state.pure:
            raise RunError(
                f'{why} makes a mixed state, which the method "statevector" has no room for; '
                'use "auto" or "density"'
            )
        b.states[space] = state

    def _by_space(self, qubits: tuple[int, ...]) -> list[tuple[int, tuple[int, ...]]]:
        spaces = sorted({self.space_of[q] for q in qubits})
        return [(s, tuple(q for q in qubits if self.space_of[q] == s)) for s in spaces]

    def _unitary(self, op: Unitary, b: Branch) -> None:
        def number(angle: Angle) -> float:
            return _number(angle, b)

        for element in op.elements:
            qubits = qubits_of(element)
            if qubits:  # a global phase has none
                space = self.space_of[qubits[0]]
                b.states[space] = gates.apply_element(b.states[space], element, number)

    def _alloc(self, op: Alloc, b: Branch) -> None:
        for space, qubits in self._by_space(op.qubits):
            k = len(qubits)
            part = maximally_mixed(k) if op.mixed else zeros(k)
            self._set(b, space, b.states[space].add(qubits, part), "a maximally mixed qubit")

    def _evolve(self, op: Evolve, b: Branch) -> None:
        time = _number(op.time, b)
        terms = tuple((_number(angle, b), string) for angle, string in op.terms)
        qubits = [q for _, string in terms for q, _ in string]
        if qubits:
            space = self.space_of[qubits[0]]
            b.states[space] = gates.evolve(b.states[space], terms, time, op.trotter)

    def _prepare(self, op: Prepare, b: Branch) -> None:
        space = self.space_of[op.qubits[0]]
        k = len(op.qubits)
        amplitudes = b.values[op.amplitudes.id]
        norm = float(np.linalg.norm(amplitudes))
        name = op.amplitudes.name or str(op.amplitudes.id)
        if not (math.isfinite(norm) and norm > 0):
            raise RunError(f"the amplitudes {name} can't be normalised: their norm is {norm:g}")
        if b.states[space].probabilities(op.qubits)[0] < 1 - 1e-9:
            raise RunError(f"the qubits that {name} is prepared on are not |0…0⟩")
        part = (amplitudes / norm).reshape((2,) * k)
        b.states[space] = b.states[space].remove(op.qubits).add(op.qubits, part)

    def _weight(self, op: UseWeight) -> Array:
        array = self.weights[op.weight]
        if op.out.type.kind == "unitary":
            return gates.unitary_from_coefficients(array, op.out.type.size)
        return array

    def _extern(self, op: CallExtern, b: Branch) -> Array:
        if op.layer not in self.externs:
            raise RunError(
                f"the extern layer {op.layer!r} is a user's own: give the run a function for it"
            )
        result = np.asarray(self.externs[op.layer](*(b.values[a.id] for a in op.args)))
        shape = inputs.moment_shape(op.out.type)
        if (result.shape[1:] if op.out.type.seq else result.shape) != shape:
            raise RunError(
                f"the extern layer {op.layer!r} gave {list(result.shape)} for {op.out.type}"
            )
        return result


def _number(angle: Angle, b: Branch) -> float:
    total = angle.constant
    for term in angle.terms:
        total += term.coefficient * float(b.values[term.value.id].flat[term.index])
    if not math.isfinite(total):
        names = ", ".join(dict.fromkeys(t.value.name for t in angle.terms if t.value.name))
        raise RunError(f"an angle{f' from {names}' if names else ''} is {total}")
    return total


def _nothing(item: Value) -> Array:
    """The item of an extra step."""
    kind = item.type
    if kind.kind in ("token", "class"):
        return np.array(0)
    return np.zeros(inputs.moment_shape(kind))
