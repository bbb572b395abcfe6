"""What fits into memory. A state of n qubits has 2^n numbers, so a few qubits too
many take more than there is, and the system then kills the process without a word."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qrlang.analysis.cost import training_step
from qrlang.diagnostics.words import plural
from qrlang.errors import TrainingError
from qrlang.ir.program import Program
from qrlang.names import quantity
from qrlang.system import host
from qrlang.training.settings import Settings

if TYPE_CHECKING:
    from qrlang.training.objective import Objective

SHARE = 4  # a quarter of the memory, where nothing asks for more sequences at once
MUCH, MANY = 1 << 22, 1 << 16  # bytes of states, weights: from here on threads pay
BROAD, PLAIN = 256, 64  # sequences that are looked at together: by a kernel, by torch


def of_sequence(program: Program, settings: Settings) -> int:
    """Bytes of the states of one sequence, without their slopes."""
    both = training_step(program, 1, 1).state_bytes
    return both if settings.precision == "double" else both // 2


def refuse(program: Program, settings: Settings, records: int) -> None:
    """An update for which there is no room. Values between the states come on top."""
    batch = min(settings.batch, records)
    there = host.memory()
    one = of_sequence(program, settings)
    if settings.optimizer[0] not in ("spsa", "nelder_mead", "ridge"):
        one *= 2  # the state, and its slopes
    wanted = batch * one
    if not there or wanted <= there:
        return
    most = there // one
    raise TrainingError(
        f"the states of {plural(batch, 'sequence')} take {quantity(wanted, 'B', 1024)}, and there "
        f"are {quantity(there, 'B', 1024)} of memory",
        f"take a smaller batch, --batch {most} at most, or fewer qubits"
        if most
        else f"take fewer qubits: one sequence alone takes {quantity(one, 'B', 1024)}",
    )


def worth_threads(program: Program, settings: Settings) -> bool:
    """Whether torch has enough to do at once. On small tensors its threads mostly wait for each
    other: on a busy machine the noisy example took six times as long with two of them."""
    weights = sum(math.prod(w.shape) for w in program.weights)
    return weights >= MANY or settings.batch * of_sequence(program, settings) >= MUCH


def together(objective: Objective, settings: Settings, streaming: bool) -> int:
    """Sequences that are looked at together where nothing is trained."""
    if streaming:
        return settings.batch  # lanes, each with a beginning of its own
    native, gpu = objective.model.chosen_road() == "native", objective.device.type == "cuda"
    most = BROAD if native else PLAIN
    if native and not gpu:
        return max(settings.batch, most)  # a kernel has no states to keep
    one = max(of_sequence(objective.program, settings), 1)
    there = memory(objective.device)
    fit = min(most, there // SHARE // one) if there else most
    return max(settings.batch, fit)


def memory(device: Any) -> int:
    """Bytes of a device: of a GPU those that nobody uses. 0: the system does not say."""
    if device.type != "cuda":
        return host.memory()
    import torch

    return int(torch.cuda.mem_get_info(device)[0])
