"""Small classical operations that respect the axes in front: batch, and shots."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """torch's own imports what it needs for symbols first, most of a second."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return tuple(torch.broadcast_shapes(*shapes))
    return np.broadcast_shapes(*shapes)


def cat(*parts: Tensor) -> Tensor:
    """One vector of several, [..., k] each; parts without a batch go with all of it."""
    lead = parts[0].shape[:-1]
    if all(p.shape[:-1] == lead and p.dtype == parts[0].dtype for p in parts):
        return torch.cat(parts, -1)
    lead = broadcast_shapes(*(p.shape[:-1] for p in parts))
    dtype = next((p.dtype for p in parts if p.is_floating_point()), parts[0].dtype)
    return torch.cat([p.to(dtype).expand(*lead, p.shape[-1]) for p in parts], -1)


def stack(*parts: Tensor) -> Tensor:
    """A vector of scalars, [...] each."""
    return torch.stack(torch.broadcast_tensors(*parts), -1)


def gather(x: Tensor, rank: int, index: list[int], *shape: int) -> Tensor:
    """Elements of a value with `rank` axes, numbered row by row, in a new shape."""
    flat = x.flatten(-rank) if rank else x[..., None]
    return flat[..., index].unflatten(-1, shape) if len(shape) != 1 else flat[..., index]


def reshape(x: Tensor, rank: int, *shape: int) -> Tensor:
    """The last `rank` axes in another shape."""
    return x.reshape(*x.shape[: x.dim() - rank], *shape)


def matvec(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b[..., None])[..., 0]


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x), exact for large x as well."""
    return torch.logaddexp(x, torch.zeros_like(x))


def clipped(x: Tensor) -> Tensor:
    """x kept within [-1, 1], without a slope at the borders: as of arc sine and cosine."""
    return torch.where(x.abs() < 1, x, x.detach().clamp(-1, 1))


def plain(x: Tensor) -> Tensor:
    """For code that reads memory: in a row, with nothing left to be conjugated or negated. (A
    tensor of one number is in a row, whatever it is a view of.)"""
    return x.resolve_conj().resolve_neg().contiguous()


def may_look(x: Tensor) -> bool:
    """Whether a tensor's numbers can be asked for: not while a CUDA graph is captured, nor while a
    model is exported, nor in `torch.func`, whose `vmap` has many in the place of one."""
    if transformed():
        return False
    return x.device.type != "cuda" or not torch.cuda.is_current_stream_capturing()


def transformed() -> bool:
    """Whether a transform of `torch.func` is going on, or an export: what knows torch's own
    operations alone."""
    if torch.compiler.is_exporting():
        return True
    return torch._C._functorch.peek_interpreter_stack() is not None


def first_order(backward: Callable[..., Any]) -> Callable[..., Any]:
    """A backward that has no gradient itself, and says so. Torch's `once_differentiable` is
    silent where the incoming gradient is a constant, as that of a sum."""

    @wraps(backward)
    def checked(ctx: Any, *gradients: Any) -> Any:
        if torch.is_grad_enabled():  # by `create_graph=True`
            raise RuntimeError(
                "gradients of gradients (`create_graph=True`) are for the plain road: "
                'set `model.road = "plain"`'
            )
        return backward(ctx, *gradients)

    return checked
