"""What a program can ask of a target: one table of features, each finding its own uses.

A target says for each feature yes or no (`qrlang.targets`); the table of features and targets in
the documentation and the test of it walk this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from qrlang.analysis.purity import per_shot
from qrlang.ir.pauli import all_commute
from qrlang.ir.program import (
    Alloc,
    ApplyMatrix,
    Attend,
    CallExtern,
    Channel,
    Evolve,
    Expect,
    Gate,
    If,
    Last,
    Loop,
    Measure,
    Op,
    Pool,
    Postselect,
    Prepare,
    Probabilities,
    Program,
    Reset,
    Reverse,
    Run,
    Shift,
    SoftmaxOver,
    Unitary,
    Value,
    WeightedSum,
)
from qrlang.ir.walk import angles_of, regions, uses, walk


@dataclass(frozen=True, slots=True)
class Found:
    """A use of a feature: what it is in words, and what leads back to its place."""

    what: str
    place: int = -1  # of a gate or an op
    value: Value | None = None
    name: str = ""  # of a register, a loop, an extern


@dataclass(frozen=True, slots=True)
class Feature:
    name: str
    words: str  # completes "the target has no …"
    code: str  # of the diagnostic when a target lacks it
    find: Callable[[Program], Iterator[Found]]


def _register_of(program: Program, qubit: int) -> str:
    for r in program.registers:
        if qubit in r.qubits:
            return r.name
    return ""


def _gates(program: Program) -> Iterator[Gate]:
    for op in walk(program.body):
        if isinstance(op, Unitary):
            for element in op.elements:
                if isinstance(element, Gate):
                    yield element
                elif isinstance(element, Run):
                    yield from element.gates


def _controls(program: Program) -> Iterator[Found]:
    for gate in _gates(program):
        if gate.zeros or len(gate.controls) > 2:
            yield Found(f"`{gate.name}` under {len(gate.controls) + len(gate.zeros)} control(s)",
                        gate.place)  # fmt: skip


def _loops(program: Program) -> list[Loop]:
    return [op for op in walk(program.body) if isinstance(op, Loop)]


def _recurrence(program: Program) -> Iterator[Found]:
    for loop in _loops(program):
        yield Found(f"`{loop.name}`", name=loop.name)


def _recurrences(program: Program) -> Iterator[Found]:
    for loop in _loops(program)[1:]:
        yield Found(f"`{loop.name}` follows another recurrence", name=loop.name)


def _extra_steps(program: Program) -> Iterator[Found]:
    for loop in _loops(program):
        if loop.extra:
            yield Found(f"`then {loop.extra}`", name=loop.name)


def _of(*kinds: type[Op]) -> Callable[[Program], Iterator[Found]]:
    """Every op of these kinds."""

    def find(program: Program) -> Iterator[Found]:
        for op in walk(program.body):
            if isinstance(op, kinds):
                yield found(program, op)

    return find


def found(program: Program, op: Op, what: str = "") -> Found:
    """An op as a use: its words and what leads to its place."""
    qubits: tuple[int, ...] = getattr(op, "qubits", ())
    what = what or _WORDS.get(type(op), type(op).__name__.lower())
    out = getattr(op, "out", None)
    return Found(
        f"`{op.name}`" if isinstance(op, Channel) else what,
        getattr(op, "place", -1),
        out if isinstance(out, Value) else None,
        _register_of(program, qubits[0]) if qubits else getattr(op, "layer", ""),
    )


_WORDS: dict[type[Op], str] = {
    ApplyMatrix: "a unitary that is a value",
    Prepare: "amplitudes that are values",
    Postselect: "this post-selection",
    Measure: "this measurement",
    Reset: "this reset",
    CallExtern: "this layer",
    Attend: "this attention",
    Probabilities: "this distribution",
    If: "this `if`",
}


def _circuit_layers(program: Program) -> Iterator[Found]:
    spaces = {0} | ({program.registers[0].space} if program.registers else set())
    for r in program.registers:
        if r.space not in spaces:
            spaces.add(r.space)
            yield Found(f"the qubits `{r.name}` never meet the others", name=r.name)


def _expect(test: Callable[[Expect], str]) -> Callable[[Program], Iterator[Found]]:
    def find(program: Program) -> Iterator[Found]:
        for op in walk(program.body):
            if isinstance(op, Expect) and (what := test(op)):
                yield found(program, op, what)

    return find


def _shots(program: Program) -> Iterator[Found]:
    for op in walk(program.body):
        if isinstance(op, (Expect, Probabilities)) and op.shots:
            yield found(program, op, f"`shots {op.shots}`")


def _mixed_start(program: Program) -> Iterator[Found]:
    for op in walk(program.body):
        if isinstance(op, Alloc) and op.mixed:
            yield found(program, op, "these qubits begin maximally mixed")


def _evolve(trotter: bool) -> Callable[[Program], Iterator[Found]]:
    def find(program: Program) -> Iterator[Found]:
        for op in walk(program.body):
            if not isinstance(op, Evolve) or bool(op.trotter) != trotter:
                continue
            if trotter:
                yield found(program, op, f"`trotter {op.trotter}`")
                continue
            if not all_commute(s for _, s in op.terms):
                yield found(program, op, "these terms do not commute")

    return find


def _measured(ops: tuple[Op, ...]) -> set[int]:
    return {op.out.id for op in walk(ops) if isinstance(op, Measure)}


def _bits_in_expressions(program: Program) -> Iterator[Found]:
    bits = _measured(program.body)
    for op in walk(program.body):
        if bits and not isinstance(op, (Loop, If)) and any(v.id in bits for v in uses(op)):
            yield found(program, op, "a measured bit is used as a number here")


def _bits_in_angles(program: Program) -> Iterator[Found]:
    tainted = per_shot(program)
    if not tainted:
        return
    for gate in _gates(program):
        if any(t.value.id in tainted for a in gate.angles for t in a.terms):
            yield Found(f"the angle of `{gate.name}` depends on a measured bit", gate.place)
    for op in walk(program.body):
        if isinstance(op, (Evolve, Channel)) and any(v.id in tainted for v in uses(op)):
            yield found(program, op, "a number here depends on a measured bit")
        if isinstance(op, Unitary):
            for element in op.elements:
                if not isinstance(element, (Gate, Run)) and any(
                    t.value.id in tainted for a in angles_of(element) for t in a.terms
                ):
                    yield Found("an angle depends on a measured bit")


def _kept_bits(program: Program) -> Iterator[Found]:
    """An `if` on a bit that was not measured in the same body."""

    def search(ops: tuple[Op, ...], known: frozenset[int]) -> Iterator[Found]:
        here = known | {op.out.id for op in ops if isinstance(op, Measure)}
        for op in ops:
            if isinstance(op, If) and op.condition.id not in here:
                yield Found("this bit comes from outside the step", op.place, op.condition)
            inner = frozenset() if isinstance(op, Loop) else here
            for body in regions(op):
                yield from search(body, inner)

    yield from search(program.body, frozenset())


def _noise_from_values(program: Program) -> Iterator[Found]:
    for op in walk(program.body):
        if isinstance(op, Channel) and any(a.terms for a in op.args):
            yield found(program, op, f"the strength of `{op.name}` is computed")


def _conditional_noise(program: Program) -> Iterator[Found]:
    for op in walk(program.body):
        if isinstance(op, If):
            for inner in walk((*op.then, *op.orelse)):
                if isinstance(inner, Channel):
                    yield found(program, inner)


FEATURES: dict[str, Feature] = {
    f.name: f
    for f in (
        Feature("controls", "gates under negated or more than two controls", "E0700", _controls),
        Feature("recurrence", "recurrences (`step`)", "E0700", _recurrence),
        Feature("recurrences", "several recurrences in one model", "E0700", _recurrences),
        Feature("extra-steps", "steps after the end of the sequence (`then k`)", "E0700",
                _extra_steps),
        Feature("sequences", "functions of whole sequences (shifted, reversed, last, pooled)",
                "E0700", _of(Shift, Reverse, Last, Pool, SoftmaxOver, WeightedSum)),
        Feature("attention", "attention", "E0700", _of(Attend)),
        Feature("circuit-layers", "several separate sets of qubits (circuits as layers)", "E0700",
                _circuit_layers),
        Feature("expectations", "expectation values (`read`)", "E0700",
                _expect(lambda op: "" if op.weak else "this `read`")),
        Feature("probabilities", "distributions (`probs`)", "E0700", _of(Probabilities)),
        Feature("shots", "readouts from a given number of shots", "E0700", _shots),
        Feature("weak-readouts", "weak readouts", "E0706",
                _expect(lambda op: f"`weak {op.weak:g}`" if op.weak else "")),
        Feature("measure", "measurements inside the circuit", "E0700", _of(Measure)),
        Feature("feed-forward", "gates under a measured bit (`if`)", "E0700", _of(If)),
        Feature("kept-bits", "`if` on a bit measured before this step", "E0709", _kept_bits),
        Feature("bits-in-expressions", "measured bits as numbers", "E0700", _bits_in_expressions),
        Feature("bits-in-angles", "angles that depend on a measured bit", "E0708",
                _bits_in_angles),
        Feature("reset", "`reset`", "E0700", _of(Reset)),
        Feature("postselect", "post-selection", "E0705", _of(Postselect)),
        Feature("noise", "noise channels", "E0704", _of(Channel)),
        Feature("computed-noise", "noise whose strength is computed", "E0704", _noise_from_values),
        Feature("conditional-noise", "noise under a measured bit", "E0704", _conditional_noise),
        Feature("mixed-start", "qubits that begin mixed", "E0707", _mixed_start),
        Feature("amplitudes", "amplitudes that are values (`prepare`)", "E0702", _of(Prepare)),
        Feature("matrices", "unitaries that are values", "E0701", _of(ApplyMatrix)),
        Feature("exact-evolution", "exact evolution under terms that do not commute", "E0703",
                _evolve(trotter=False)),
        Feature("trotter", "evolution in Trotter steps", "E0700", _evolve(trotter=True)),
        Feature("extern", "layers written in Python (`extern`)", "E0700", _of(CallExtern)),
    )
}  # fmt: skip
