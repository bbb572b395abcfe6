"""One process, or several that share each batch.

Gradients are added up in one call on one flat tensor: models here have thousands of weights, not
billions, so there is nothing to overlap, and every optimiser (also those without gradients) sees
the same sums in every process.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class World:
    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def sum(self, tensor: Any) -> Any:
        """Over all processes, in place."""
        if self.size > 1:
            import torch.distributed as dist

            dist.all_reduce(tensor)
        return tensor

    def gather(self, thing: Any) -> list[Any]:
        """Everybody's, in the order of the processes."""
        if self.size == 1:
            return [thing]
        import torch.distributed as dist

        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, thing)
        return found

    def say(self, text: str) -> str:
        """What the first process says, in all of them."""
        if self.size == 1:
            return text
        import torch.distributed as dist

        box = [text]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def any(self, flag: bool, like: Any) -> bool:
        """Whether it is so in at least one process."""
        if self.size == 1:
            return flag
        return bool(self.sum(like.new_tensor(float(flag))).item() > 0)


def join(cuda: bool) -> World:
    """The processes that `torchrun` has started; without it, this one alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World()
    import torch
    import torch.distributed as dist

    if not dist.is_initialized():
        rank = int(os.environ.get("LOCAL_RANK", "0"))
        if cuda and rank < torch.cuda.device_count():
            torch.cuda.set_device(rank)
        # Tensors go where they are, and a model on the CPU may be trained beside a GPU.
        both = cuda and dist.is_nccl_available()
        dist.init_process_group("cpu:gloo,cuda:nccl" if both else "gloo")
    return World(dist.get_rank(), size)


def leave(world: World) -> None:
    if world.size > 1:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.destroy_process_group()
