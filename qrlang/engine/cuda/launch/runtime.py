"""A plan on torch tensors: kernels for the batch at hand, their memory, and gradients of weights.

Nothing here waits for the device. What the kernels find to be not finite, or out of range, is one
number on the device, which `Kernel.check` reads, or whoever wants to know later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from qrlang.engine.bodies import check_times, together, walk_nodes
from qrlang.engine.cuda.launch.kernels import Found, Kernels, Made, Tensor
from qrlang.engine.cuda.launch.launcher import Launcher
from qrlang.engine.cuda.printer import write
from qrlang.engine.cuda.source import (
    ANGLE,
    INPUT,
    Argument,
    KernelSpec,
    Reduction,
    decode_error,
)
from qrlang.engine.nodes import Dropout, Plan

RANGE = 3  # a kind of fault: a token or a length out of range
MOST_MARKS = 1 << 24  # numbers of a matrix that says which row belongs to what
LENGTHS = 1 << 14  # added to the number of the input whose lengths they are


class NotFinite(ValueError):
    """An input or an angle that is NaN or infinite, or an index out of range."""


@dataclass(slots=True)
class Saved:
    """What a forward call keeps for its backward one."""

    made: Made
    given: Found
    batch: int
    times: dict[int, int]
    seed: int
    error: Tensor
    left: list[Tensor] = field(default_factory=list)  # states that go on after the call


class Kernel(Kernels):
    """`forward` and `backward` of a plan, for any batch and length."""

    def __init__(self, plan: Plan, dtype: str, launcher: Launcher) -> None:
        super().__init__(plan, dtype, launcher, lambda mapping: write(plan, mapping))
        self.circuits = plan.circuits
        self.together = together(plan)
        self.random = any(isinstance(n, Dropout) for n in walk_nodes(plan.body))

    # --- calls

    def forward(
        self,
        inputs: Sequence[Tensor],
        weights: Sequence[Tensor],
        lengths: Sequence[Tensor | None] | None = None,
        seed: int | None = None,
        states: Sequence[Tensor] = (),
    ) -> tuple[list[Tensor], Saved]:
        """Inputs [B, T, …] or [B, …] in the plan's order; tokens int64. Tensors on the launcher's
        device that are contiguous and of the kernel's type are used where they are. `states`: of a
        plan that goes on from them, complex [B, 2^n]; what it leaves is in `Saved.left`."""
        plan = self.plan
        batch = len(inputs[0]) if inputs else 1
        made = self.kernels(max(1, batch))
        if self.random and seed is None:
            raise ValueError("the model drops out by lot: it needs a seed")
        given: Found = {}
        times: dict[int, int] = {}
        error = self.empty(1, "int64").zero_()
        for i, (spec, x) in enumerate(zip(plan.inputs, inputs, strict=True)):
            x = self._own(x, torch.int64 if spec.token else self.real)
            if len(x) != batch:
                raise ValueError(f"input `{spec.name}` has a batch of {len(x)}, not {batch}")
            if spec.seq:
                times[i] = x.shape[1]
            if x.numel() != batch * spec.rows * times.get(i, 1):
                raise ValueError(f"input `{spec.name}` has shape {list(x.shape)}")
            if spec.token:
                x = self._within(x, 0, spec.size - 1, i, error)
            given["input", i] = x
            own = lengths[i] if lengths is not None and spec.seq else None
            if own is not None:
                own = self._own(own, torch.int64)
                if own.shape != (batch,):
                    raise ValueError(f"lengths of `{spec.name}`: {batch} numbers")
                own = self._within(own, 1, times[i], i + LENGTHS, error)
            given["lengths", i] = own
        check_times(plan, self.together, times)
        for i, (spec_w, w) in enumerate(zip(plan.weights, weights, strict=True)):
            w = self._own(w, self.real)
            if tuple(w.shape) != spec_w.shape:
                raise ValueError(f"weight `{spec_w.name}` has shape {list(w.shape)}")
            given["weight", i] = w
        saved = Saved(made, given, batch, times, seed or 0, error)
        kernel = made.source.forward
        found: Found = {**given, ("error", -1): error}
        for i, psi in enumerate(states):
            found["state", i] = torch.view_as_real(self._own(psi, self.real.to_complex()))
        for a in kernel.arguments:
            if a.kind == "state_out":
                n = self.plan.spaces[plan.kept[a.index].space]
                left = self._buffer(a, kernel, saved)
                found[a.kind, a.index] = left
                saved.left.append(torch.view_as_complex(left.view(batch, 1 << n, 2)))
            if a.kind in ("output", "saved"):
                found[a.kind, a.index] = self._buffer(a, kernel, saved)
                if a.kind == "saved":
                    given["saved", a.index] = found["saved", a.index]
        self._launch(kernel, saved, found)
        outputs = []
        for i, out in enumerate(plan.outputs):
            y = found["output", i]
            assert y is not None
            lead = (batch, times[out.clock] + out.extra) if out.seq else (batch,)
            outputs.append(y.view(*lead, out.rows))
        return outputs, saved

    def backward(
        self, saved: Saved, grads: Sequence[Tensor | None], inputs: bool = False
    ) -> tuple[list[Tensor], list[Tensor | None]]:
        """Gradients of the weights, and of the inputs that are real numbers if asked for."""
        plan, spec = self.plan, saved.made.source.backward
        found = dict(saved.given)
        for i, g in enumerate(grads):
            found["output_gradient", i] = None if g is None else self._own(g, self.real)
        back: list[Tensor | None] = [None] * len(plan.inputs)
        if inputs:
            for i, x in enumerate(plan.inputs):
                if not x.token:
                    given = saved.given["input", i]
                    back[i] = found["input_gradient", i] = torch.zeros_like(given)
        for a in spec.arguments:
            if a.kind == "gradient":
                found[a.kind, a.index] = self._buffer(a, spec, saved)
        self._launch(spec, saved, found)
        buffers = {
            a.index: found["gradient", a.index] for a in spec.arguments if a.kind == "gradient"
        }
        shapes = {a.index: self._shape(a, spec, saved) for a in spec.arguments}
        totals: list[Tensor | None] = [None] * len(plan.weights)
        sums: dict[int, Tensor] = {}
        for r in saved.made.source.reductions:
            part = reduced(r, plan.weights[r.weight].shape, buffers, shapes, sums)
            old = totals[r.weight]
            totals[r.weight] = part if old is None else old + part
        zero = [
            torch.zeros(w.shape, dtype=self.real, device=self.launcher.device) if t is None else t
            for w, t in zip(plan.weights, totals, strict=True)
        ]
        return zero, back

    # --- faults

    def words_for(self, code: int) -> str:
        """What an error word says, as a sentence without a full stop."""
        kind, number, step, sequence = decode_error(code)
        if kind == RANGE:
            spec = self.plan.inputs[number & (LENGTHS - 1)]
            if number & LENGTHS:
                return f"lengths of `{spec.name}` are from 1 to the length of its time axis"
            return f"input `{spec.name}` has tokens outside 0 … {spec.size - 1}"
        if kind == ANGLE:
            circuit, layer = number >> 8, number & 0xFF
            what = f"an angle of layer {layer} of {self.circuits[circuit].name or 'the circuit'}"
        else:
            assert kind == INPUT
            what = f"input `{self.plan.inputs[number].name or number}`"
        when = f"step {step + 1}" if step >= 0 else "outside the recurrence"
        return f"{what} is NaN or infinite at {when} (sequence {sequence} of the batch)"

    def check(self, saved: Saved) -> None:
        """Waits for a forward call, and raises what was wrong in it."""
        code = int(saved.error.item())
        if code:
            raise NotFinite(self.words_for(code))

    # --- small things

    def _own(self, x: Tensor, dtype: Any) -> Tensor:
        x = x.detach().to(device=self.launcher.device, dtype=dtype)
        return x.resolve_conj().resolve_neg().contiguous()

    def _within(self, x: Tensor, low: int, high: int, number: int, error: Tensor) -> Tensor:
        """Kept from reading what is not there; noted, without waiting."""
        wrong = ((x < low) | (x > high)).any()
        error.copy_(torch.where(wrong, RANGE << 60 | number << 44, error))
        return x.clamp(low, high)

    def _shape(self, a: Argument, spec: KernelSpec, saved: Saved) -> tuple[int, ...]:
        blocks = spec.blocks(saved.batch)
        return tuple(d.size(saved.batch, blocks, saved.times) for d in a.shape)

    def _buffer(self, a: Argument, spec: KernelSpec, saved: Saved) -> Tensor:
        return self.buffer(a, spec, saved.batch, saved.times)

    def _launch(self, spec: KernelSpec, saved: Saved, found: Found) -> None:
        self.launch(saved.made.loaded, spec, saved.batch, found, saved.times, saved.seed)


def reduced(
    r: Reduction, shape: tuple[int, ...], buffers: dict[int, Tensor], shapes: dict[int, Any],
    sums: dict[int, Tensor],
) -> Tensor:  # fmt: skip
    """What a reduction adds to the gradient of its weight; `sums` are those of whole buffers."""
    left = buffers[r.left].view(-1, shapes[r.left][-1])
    count = 1
    for d in shape:
        count *= d
    match r.how:
        case "outer":
            right = buffers[r.right].view(-1, shapes[r.right][-1])
            found = left.T @ right
        case "sum":
            found = left.sum(0)
        case "rows":
            found = rows_added(buffers[r.right].view(-1), left, shape[0])
        case "blocks":
            if r.left not in sums:
                sums[r.left] = left.sum(0)
            found = sums[r.left][r.first : r.first + count]
        case _:
            raise AssertionError(r.how)
    return (found if r.factor == 1 else found * r.factor).reshape(shape)


def rows_added(index: Tensor, rows: Tensor, count: int) -> Tensor:
    """[count, width]: the sum of the rows of each number, in the same order every time, so that a
    run that goes on is the run. (`index_add_` is not: its atomics add in any order.)"""
    if count * len(index) <= MOST_MARKS:
        marks = torch.arange(count, device=index.device, dtype=index.dtype)[:, None] == index
        return marks.to(rows.dtype) @ rows
    # On a GPU this sorts, stably, and each number's rows are added by one warp.
    found = rows.new_zeros(count, rows.shape[1])
    return found.index_put_((index.long(),), rows, accumulate=True)
