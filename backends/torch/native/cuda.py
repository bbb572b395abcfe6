"""Road 1 on a GPU: the engine's CUDA kernels as one autograd node, on the tensors' own memory."""

from __future__ import annotations

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


class Node(torch.autograd.Function):
    """All of a model. Saved tensors are saved in torch's way too, so that a change in place, or a
    second backward, is an error and not a wrong gradient."""

    @staticmethod
    def forward(
        ctx: Any, kernel: Any, inputs: int, lengths: Any, seed: int | None, faults: gpu.Faults,
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
    faults: gpu.Faults = model.faults
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
