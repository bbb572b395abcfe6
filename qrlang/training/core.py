"""A classical core in place of the quantum one, everything else equal.

This is done to the program and not to the module: the result is a program like any other, so it
is trained, checked, drawn and counted by the same means, on the same roads, and its text lies in
the run folder for everybody to read.

What is exchanged is the recurrent core: the circuit, its state, and the layers that do nothing but
steer its angles (their weights are what makes a circuit's size; a classical cell needs no angles).
What stays is all the rest: embeddings, the loops and what is carried in them, attention, heads,
losses, data. Each state of qubits becomes one hidden vector; each circuit becomes one step of a
cell, driven by whatever the steering layers were given (but not by readouts of that same state:
a cell sees its own state anyway); each readout becomes a linear layer from the hidden vector, as
wide as the readout was. A head's gain, which makes up for the small components of readouts, is 1.

The hidden width is chosen so that as many trained numbers come as go, within 2 % (for a very small
model, within 2 % of all its numbers). Where whole units are too coarse for that, the cell's input
is joined by a layer of ReLU units of it (for `orthogonal`: the matrix gets fewer reflections).

rnn: tanh. gru, lstm: as usual, the forget gate's bias begins at 1. orthogonal: the recurrent matrix
is a product of Householder reflections (Mhammedi et al. 2017), with the activation modReLU.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from qrlang.errors import TrainingError
from qrlang.ir.program import Program
from qrlang.passes import PASSES, run_passes
from qrlang.training.cells import CELLS, Build, Cell

TOLERANCE = 0.02


def parameters(program: Program) -> int:
    """Trained numbers."""
    return sum(math.prod(w.shape) for w in program.weights if w.trained)


def swapped(program: Program, core: str) -> Program:
    """The program with that core, as large as it was."""
    cell = CELLS[core]
    goal = parameters(program)
    if not goal:
        raise TrainingError(
            f"{program.name} trains nothing, so no {core} core is of its size",
            "give it a layer, or a `param`",
        )

    def made(width: int, more: int) -> Program:
        return Build(program, cell, width, more).program()

    def off(p: Program) -> float:
        """Of what is exchanged: large embeddings would hide any difference."""
        names = {w.name for w in p.weights}
        stays = parameters(replace(program, weights=tuple(
            w for w in program.weights if w.name in names)))  # fmt: skip
        return (parameters(p) - goal) / max(goal - stays, 1)

    width = _largest(lambda w: off(made(w, cell.whole(w))) <= 0)
    plain = {w: made(w, cell.whole(w)) for w in (width, width + 1) if w}
    middle = min(plain, key=lambda w: abs(off(plain[w])))
    best = plain[middle]
    for w in sorted(range(1, 2 * width + 2), key=lambda w: abs(w - middle)):
        if abs(off(best)) <= TOLERANCE:
            break
        best = min([best, *_filled(made, off, cell, w)], key=lambda p: abs(off(p)))
    if abs(parameters(best) / goal - 1) > TOLERANCE:
        raise TrainingError(
            f"no {core} core comes within 2 % of {goal} parameters; the nearest has "
            f"{parameters(best)}",
            "compare it at a larger size of the model (a circuit can have fewer angles than any "
            "cell has weights), or write the classical model as a program of its own",
        )
    return run_passes(best, (PASSES["prune"],))


def _filled(
    made: Callable[[int, int], Program], off: Callable[[Program], float], cell: Cell, width: int
) -> list[Program]:
    """Of this width, just below the goal and just above."""
    more = _largest(lambda m: cell.allows(width, m) and off(made(width, m)) <= 0, cell.least(width))
    return [made(width, m) for m in (more, more + 1) if cell.allows(width, m)]


def _largest(fits: Callable[[int], bool], start: int = 0) -> int:
    """The largest whole number from `start` that fits, `start` itself taken for granted."""
    step = 1
    while step < 2**20 and fits(start + step):
        step *= 2
    low, high = start + step // 2 if step > 1 else start, start + step
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low
