"""Runs the watched samples at the weights of the moment, and says what can be seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from qrlang.backends.torch.load import make
from qrlang.backends.torch.spaces import density_spaces, why_not_reversible
from qrlang.ir.program import Program
from qrlang.trace import states
from qrlang.trace.layout import Array, normalised
from qrlang.trace.samples import Samples
from qrlang.trace.taps import WIDEST, Tap, tapped
from qrlang.training import losses
from qrlang.training.objective import Objective

MOMENTS = 32  # of a long sequence that are kept


class Watch:
    """A second module, of the program with taps, on road 2 or 3: those can show their states.

    It draws nothing by lot: readouts are exact, also where training has shots.
    """

    def __init__(
        self, objective: Objective, samples: Samples, moments: Mapping[str, list[int]] | None = None
    ) -> None:
        """`moments`: those that are kept, where a trace has some already."""
        self.objective, self.samples = objective, samples
        made = tapped(objective.program)
        self.taps, self.left_out = made.taps, made.left_out
        self.road = "plain" if why_not_reversible(objective.program) else "stepwise"
        like = objective.parameters[0]
        with torch.random.fork_rng(devices=[]):
            self.module = make(made.program, road=self.road, dtype=like.dtype,
                               device=objective.device)  # fmt: skip
        self.module.eval()
        self.module._look = self._look
        self._types = {o.name: o.value.type for o in objective.program.outputs}
        self.mixed = sorted(mixed_registers(objective.program))
        self.moments = dict(moments or {})  # which of them are kept, by what they are of
        self._seen: dict[str, _Seen] = {}

    # --- states ---------------------------------------------------------------------------------

    def _look(self, when: str, alive: list[Any]) -> None:
        for state in alive:
            if when == "end" and state.name in self._seen:
                continue
            if state.n > 0:
                seen = self._seen.setdefault(state.name, _Seen(state.n))
                seen.add(states.plain(state, self.samples.count))

    # --- one look -------------------------------------------------------------------------------

    def look(self) -> dict[str, Array]:
        """Arrays by `group/name`, in a fixed order."""
        self._seen = {}
        self.module.load_state_dict(self.objective.model.state_dict())
        batch = self.samples.batch
        shadow = Objective(self.module, self.objective.program, self.objective.loss,
                           self.objective.world)  # fmt: skip
        outputs: dict[str, Any] = {}
        given = self.module.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            found = given(*args, **kwargs)
            outputs.update(found if isinstance(found, dict) else {"": found})
            return found

        self.module.forward = forward
        try:
            with torch.no_grad():
                output, target, inside = shadow.forward(_typed(batch, self.objective.program))
                kind = self.objective.kind
                each, terms = losses.per_sequence(output, target, kind, inside, self.objective.loss)
        finally:
            del self.module.forward
        arrays = {"samples/loss": _plain(each / terms.clamp_min(1))}
        for name, value in outputs.items():
            if not name.startswith("trace_") and self._narrow(name):
                arrays[f"outputs/{name}"] = self._kept(name, _plain(value), self._series(name))
        for tap in self.taps:
            arrays |= self._tap(tap, _plain(outputs[tap.output]))
        arrays |= self._states()
        self._seen = {}
        return arrays

    def _series(self, name: str) -> bool:
        return self._types[name].seq

    def _narrow(self, name: str) -> bool:
        return self._types[name].count <= WIDEST

    def _tap(self, tap: Tap, value: Array) -> dict[str, Array]:
        flat = value.reshape(*value.shape[: 1 + tap.series], -1)
        raw = self._kept(tap.name, flat, tap.series)
        found = {f"{tap.group}/{tap.name}": raw}
        if tap.group == "activations":
            shares, bounds = normalised(raw, tap.function)
            found |= {f"normalised/{tap.name}": shares, f"range/{tap.name}": bounds}
        return found

    def _kept(self, name: str, value: Array, series: bool) -> Array:
        """At some moments: evenly spread, the last of every sample among them."""
        if not series:
            return value[:, None]
        if name not in self.moments:
            time = value.shape[1]
            ends = {int(n) - 1 for v in self.samples.batch.lengths.values() for n in v}
            self.moments[name] = picks(time, {e for e in ends if e < time})
        return value[:, self.moments[name]]

    def _states(self) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for name, seen in self._seen.items():
            self.moments[f"{name}.state"] = seen.moments
            every, last, n = seen.together(), seen.last, seen.n
            count = self.samples.count
            single = _plain(states.qubits(every, n))
            found[f"entropy/{name}.qubits"] = single.reshape(count, -1, n)
            if n > 1:
                half = _plain(states.cut(every, n, n // 2))
                found[f"entropy/{name}.half"] = half.reshape(count, -1)
                cuts = [_plain(states.cut(last, n, k)) for k in range(1, n)]
                found[f"entropy/{name}.cuts"] = np.stack(cuts, 1)
        if self._seen:
            name = max(self._seen, key=lambda k: self._seen[k].n)
            folded = states.folded(self._seen[name].last, self._seen[name].n)
            found[f"amplitudes/{name}"] = folded.cpu().numpy().astype(np.complex64)
        return found


class _Seen:
    """The states of one register over time: all of them, or every 2nd, 4th, … of many."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.kept: list[Any] = []
        self.every = 1
        self.count = 0
        self.last: Any = None

    def add(self, state: Any) -> None:
        self.last = state.clone()
        if self.count % self.every == 0:
            self.kept.append(self.last)
            if len(self.kept) > MOMENTS:
                self.kept, self.every = self.kept[::2], 2 * self.every
        self.count += 1

    @property
    def moments(self) -> list[int]:
        found = [k * self.every for k in range(len(self.kept))]
        return found if found[-1] == self.count - 1 else [*found, self.count - 1]

    def together(self) -> Any:
        """[samples × moments, 2^n] (or a density matrix each)"""
        more = [] if self.kept[-1] is self.last else [self.last]
        return torch.stack([*self.kept, *more], 1).flatten(0, 1)


def picks(time: int, always: set[int]) -> list[int]:
    """Numbers of moments, at most about MOMENTS: first, last, and evenly between."""
    if time <= MOMENTS:
        return list(range(time))
    spread = {round(k * (time - 1) / (MOMENTS - 1)) for k in range(MOMENTS)}
    return sorted(spread | always)


def _plain(x: Any) -> Array:
    return np.asarray(x.detach().cpu().numpy(), np.float32)


def _typed(batch: Any, program: Program) -> Any:
    """Values were kept as reals: tokens and classes are whole numbers again."""
    from dataclasses import replace

    kinds = {p.name: p.type.kind for p in (*program.inputs, *program.targets)}
    values = {
        k: np.nan_to_num(v).astype(np.int64) if kinds.get(k) in ("token", "class") else v
        for k, v in batch.values.items()
    }
    return replace(batch, values=values)


def mixed_registers(program: Program) -> set[str]:
    """Registers whose state does not stay pure."""
    spaces = density_spaces(program)
    return {r.name for r in program.registers if r.space in spaces}
