"""Road 1 on a GPU: the engine's CUDA kernels as one autograd node, on the tensors' own memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from qrlang.backends.torch import gpu
from qrlang.backends.torch.ops import first_order


class Kernels:
    """A plan's kernels, by dtype and device."""

    def __init__(self, plan: Any) -> None:
        self.plan = plan
        self.made: dict[tuple[str, int], Any] = {}
        self.reasons: dict[int, str] = {}

    def why_not(self, device: torch.device) -> str:
        """What keeps them from a device; "" if nothing does. Asked on every call."""
        index = gpu.index(device)
        if index not in self.reasons:
            self.reasons[index] = self._why_not(device)
        return self.reasons[index]

    def _why_not(self, device: torch.device) -> str:
        from qrlang.engine.cuda.launch.launcher import Unavailable

        reason = gpu.unavailable(device)
        if reason:
            return reason
        try:
            self.on(device, "float32")
        except Unavailable as why:
            return str(why)
        return ""

    def on(self, device: torch.device, dtype: str) -> Any:
        key = dtype, gpu.index(device)
        if key not in self.made:
            from qrlang.engine.cuda.launch.runtime import Kernel

            self.made[key] = Kernel(self.plan, dtype, gpu.launcher(device))
        return self.made[key]


class Faults:
    """What calls have found wrong and nobody has looked at yet: numbers on the way from a GPU."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Any, Tensor, Any]] = deque()

    def __reduce__(self) -> Any:
        return Faults, ()  # a copy of a model has none

    def add(self, kernel: Any, saved: Any) -> None:
        error = saved.error
        if error.device.type != "cuda":
            self.waiting.append((kernel, error, None))
            return
        here = torch.empty(1, dtype=torch.int64, pin_memory=True)
        here.copy_(error, non_blocking=True)
        event = torch.cuda.Event()
        # Of its own device, whichever is the current one.
        event.record(torch.cuda.current_stream(error.device))
        self.waiting.append((kernel, here, event))

    def look(self, wait: bool) -> None:
        """Raises the first; without waiting, of those that have arrived. Each is taken by one
        thread: others may call the model meanwhile."""
        while True:
            try:
                kernel, word, event = one = self.waiting.popleft()
            except IndexError:
                return
            if event is not None and not wait and not event.query():
                self.waiting.appendleft(one)
                return
            if event is not None:
                event.synchronize()
            code = int(word[0])
            if code:
                self.waiting.clear()
                raise FloatingPointError(kernel.words_for(code))


class Node(torch.autograd.Function):
    """All of a model. Saved tensors are saved in torch's way too, so that a change in place, or a
    second backward, is an error and not a wrong gradient."""

    @staticmethod
    def forward(
        ctx: Any, kernel: Any, inputs: int, lengths: Any, seed: int | None, faults: Faults,
        states: Any, left: Any, *tensors: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        outputs, saved = kernel.forward(tensors[:inputs], tensors[inputs:], lengths, seed, states)
        left += saved.left
        if not kernel.launcher.capturing:
            faults.add(kernel, saved)
        ctx.kernel, ctx.inputs, ctx.saved = kernel, inputs, saved
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        return tuple(outputs)

    @staticmethod
    @first_order
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        _ = ctx.saved_tensors  # raises if they were changed, or given back
        wanted = any(ctx.needs_input_grad[7 : 7 + ctx.inputs])
        weights, inputs = ctx.kernel.backward(ctx.saved, gradients, wanted)
        return (None,) * 7 + (*inputs, *weights)


def call(
    model: Any, kernel: Any, seed: int | None, inputs: Sequence[Tensor], lengths: Any,
    weights: Sequence[Tensor], states: Sequence[Tensor] = (), left: list[Tensor] | None = None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """`states`: of a segment, those that it begins with; those that it leaves come into `left`."""
    faults: Faults = model.faults
    recording = kernel.launcher.capturing
    if recording and kernel.random:
        raise RuntimeError(
            "dropout in a CUDA graph would draw the same every time: capture it in `eval()`, "
            "or without dropout"
        )
    if not recording:
        faults.look(wait=False)
    outputs: tuple[Tensor, ...] = Node.apply(
        kernel,
        len(inputs),
        lengths,
        seed,
        faults,
        states,
        [] if left is None else left,
        *inputs,
        *weights,
    )
    if model.checks == "now" and not recording:
        faults.look(wait=True)
    return outputs
