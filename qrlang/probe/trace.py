"""States and readouts at the end of every step, by the reference interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qrlang.backends.reference import RunError, run
from qrlang.ir.program import Free, Loop
from qrlang.ir.walk import qubits_of, walk
from qrlang.names import qubit_names
from qrlang.probe.errors import ProbeError
from qrlang.probe.subject import NOT_A_NUMBER, Array, Sample, Subject, reads


@dataclass(frozen=True)
class Moment:
    """The state of one space, a vector or a density matrix, and what the step has read."""

    state: Array  # [2^n] or [2^n, 2^n]; the first qubit is the most significant bit
    readouts: Array


@dataclass(frozen=True)
class Trace:
    qubits: tuple[str, ...]  # their names
    moments: tuple[Moment, ...]

    @property
    def n(self) -> int:
        return len(self.qubits)


def traces(subject: Subject) -> list[Trace]:
    """One for each sample: the largest state that lives on from step to step."""
    loop = subject.loop()
    space = _space(subject, loop)
    names = qubit_names(subject.program.registers)
    externs = externs_of(subject)
    try:
        return [_trace(subject, loop, space, names, s, externs) for s in subject.samples]
    except RunError as error:
        raise ProbeError(str(error), NOT_A_NUMBER if "is nan" in str(error) else "") from None


def _space(subject: Subject, loop: Loop) -> int:
    """The one with most qubits at the end of a step; a circuit layer's are gone by then."""
    gone = {q for op in walk(loop.body) if isinstance(op, Free) for q in op.qubits}
    touched = {q for op in walk(loop.body) for q in qubits_of(op)}
    sizes: dict[int, int] = {}
    for r in subject.program.registers:
        kept = [q for q in r.qubits if q in touched and q not in gone]
        sizes[r.space] = sizes.get(r.space, 0) + len(kept)
    best = max(sizes, key=lambda s: sizes[s], default=-1)
    if best < 0 or not sizes[best]:
        raise ProbeError(f"{subject.name} keeps no qubits from step to step", "it has no state")
    return best


def _trace(
    subject: Subject, loop: Loop, space: int, names: dict[int, str], sample: Sample, externs: Any
) -> Trace:
    program = subject.program
    moments: list[Moment] = []
    alive: list[tuple[int, ...]] = []
    outs = [op.out.id for op in reads(loop.body)]

    def watch(name: str, t: int, branches: Sequence[Any]) -> None:
        if name != loop.name:
            return
        first = branches[0].states[space]
        if len(branches) == 1:
            state = np.asarray(first.flat())
        else:
            total = sum(b.weight for b in branches)
            state = np.asarray(
                sum(b.weight / total * b.states[space].mixed().flat() for b in branches)
            )
        values = [np.ravel(branches[0].values[k]) for k in outs]
        moments.append(Moment(state, np.concatenate(values) if values else np.zeros(0)))
        alive.append(first.qubits)

    weights = subject.all_weights()
    run(
        program,
        {p.name: sample[p.name] for p in program.inputs},
        {p.name: sample[p.name] for p in program.targets if p.name in sample},
        {w.name: weights[w.name] for w in program.weights},
        externs=externs,
        watch=watch,
    )
    if len(set(alive)) > 1:
        raise ProbeError(f"the qubits of {loop.name} are not the same at every step")
    return Trace(tuple(names[q] for q in alive[0]), tuple(moments))


def externs_of(subject: Subject) -> dict[str, Any]:
    """Layers in Python, as functions on arrays."""
    if not subject.program.externs:
        return {}
    import torch

    module = subject.module()

    def function(layer: Any) -> Any:
        def apply(*args: Array) -> Array:
            with torch.no_grad():
                given = [torch.as_tensor(np.asarray(a, float))[None] for a in args]
                return np.asarray(layer(*given)[0].numpy())

        return apply

    return {e.name: function(module.get_submodule(e.name)) for e in subject.program.externs}


def reduced(state: Array, n: int, keep: Sequence[int]) -> Array:
    """The density matrix of some qubits of a vector or a density matrix."""
    k = len(keep)
    rest = [q for q in range(n) if q not in keep]
    if state.ndim == 1:
        parts = state.reshape((2,) * n).transpose([*keep, *rest]).reshape(1 << k, -1)
        return np.asarray(parts @ parts.conj().T)
    axes = [*keep, *rest]
    whole = state.reshape((2,) * (2 * n)).transpose([*axes, *(a + n for a in axes)])
    blocks = whole.reshape(1 << k, 1 << (n - k), 1 << k, 1 << (n - k))
    return np.asarray(np.einsum("aibi->ab", blocks))
