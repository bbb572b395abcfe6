"""Kernels as they are printed, run by the emulator with a mapping of the test's choice, against the
plan's interpreter in float64."""

import sys
from pathlib import Path

import numpy as np
import torch
from emulated import Emulated

sys.path.insert(0, str(Path(__file__).parent / "engine"))

from engine_tools import draw
from plan_interpreter import Interpreter

from qrlang.engine.cuda import printer
from qrlang.engine.cuda.launch import kernels, runtime
from qrlang.engine.cuda.layout.mapping import Mapping
from qrlang.engine.plan import Plan, plan


class Forced(runtime.Kernel):
    """A kernel with a mapping of the test's choice."""

    def __init__(self, plan, mapping, order, races=False):
        super().__init__(plan, mapping.dtype, Emulated(mapping.arch, order, races))
        source = printer.write(plan, mapping)
        self.only = kernels.Made(source, self.launcher.load(source))

    def kernels(self, batch):
        return self.only


def check(program, mapping, batch=3, steps=3, lengths=None, limit=1e-12, order=0, races=False):
    found = plan(program)
    assert isinstance(found, Plan)
    weights, inputs = draw(program, batch, steps)
    drawn = [weights[w.name] for w in found.weights]
    truth = Interpreter(found)
    k = Forced(found, mapping, order, races)
    own = [None if lengths is None or not x.seq else torch.tensor(lengths) for x in found.inputs]
    y, saved = k.forward(inputs, drawn, own)
    want, kept = truth.forward(
        [x.numpy() for x in inputs], [w.numpy() for w in drawn],
        [None if x is None else x.numpy() for x in own],
    )  # fmt: skip
    k.check(saved)
    dice = np.random.default_rng(0)
    seeds = [dice.normal(size=x.shape) for x in want]
    dw, dx = k.backward(saved, [torch.from_numpy(s) for s in seeds], True)
    tw, tx = truth.backward(kept, seeds, True)
    scale = max([1.0, *(np.abs(t).max() for t in tw if t.size)])
    for mine, true in zip((*y, *dw, *dx), (*want, *tw, *tx), strict=True):
        if mine is not None and true is not None:
            close = np.abs(mine.double().numpy().reshape(true.shape) - true).max(initial=0)
            assert close < limit * scale


WAYS = {
    "lanes": (3, Mapping("float64", 90, 3, 0, shuffled=True)),
    "more lanes than amplitudes": (2, Mapping("float64", 90, 5, 0, shuffled=True)),
    "one warp": (6, Mapping("float64", 90, 5, 1, shuffled=True)),
    "warps": (7, Mapping("float64", 90, 5, 2, warps=2)),
    "block": (8, Mapping("float64", 90, 6, 2)),
    "cluster": (8, Mapping("float64", 90, 6, 2, 1)),
    "cluster of four": (9, Mapping("float64", 90, 7, 2, 2)),
    # Fewer registers than bits of the rank: two phases of the half that ends a layer.
    "cluster of eight": (10, Mapping("float64", 90, 8, 2, 3)),
    "global memory": (8, Mapping("float64", 80, 5, 1, shared=False)),
    # Two sweeps, the first of four phases in its tile.
    "global memory of a cluster": (9, Mapping("float64", 90, 6, 2, 1, shared=False)),
}
