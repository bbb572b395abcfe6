"""What fits into this machine's memory. A state of n qubits has 2^n numbers, so a few qubits too
many take more than there is, and the system then kills the process without a word."""

from __future__ import annotations

from qrlang.analysis.cost import training_step
from qrlang.diagnostics.words import plural
from qrlang.engine.cpu.llvm import machine
from qrlang.errors import TrainingError
from qrlang.ir.program import Program
from qrlang.names import quantity
from qrlang.training.settings import Settings

SHARE = 4  # a quarter of the memory, where nothing asks for more sequences at once


def of_sequence(program: Program, settings: Settings) -> int:
    """Bytes of the states of one sequence, without their slopes."""
    both = training_step(program, 1, 1).state_bytes
    return both if settings.precision == "double" else both // 2


def refuse(program: Program, settings: Settings, records: int) -> None:
    """An update for which there is no room. Values between the states come on top."""
    batch = min(settings.batch, records)
    there = machine.memory()
    one = of_sequence(program, settings)
    if settings.optimizer[0] not in ("spsa", "nelder_mead", "ridge"):
        one *= 2  # the state, and its slopes
    wanted = batch * one
    if not there or wanted <= there:
        return
    most = there // one
    raise TrainingError(
        f"the states of {plural(batch, 'sequence')} take {quantity(wanted, 'B', 1024)}, and this "
        f"machine has {quantity(there, 'B', 1024)} of memory",
        f"take a smaller batch, --batch {most} at most, or fewer qubits"
        if most
        else f"take fewer qubits: one sequence alone takes {quantity(one, 'B', 1024)}",
    )


def sequences(program: Program, settings: Settings, most: int) -> int:
    """How many of at most so many may be looked at together."""
    one = max(of_sequence(program, settings), 1)
    there = machine.memory()
    return max(1, min(most, there // SHARE // one)) if there else most
