"""For tests of traces: a small run that was traced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cli_tools import Done, qrlc
from training_tools import project

MODEL = """\
use std.readout.each_z

circuit chain(n: int)(v: real[n]) -> real[n] {
  qubits q[n]
  param  theta: angle[n]
  for i in 0..n { h q[i]  rz(v[i]) q[i]  ry(theta[i]) q[i] }
  for i in 0..n - 1 { cx q[i], q[i + 1] }
  return read each_z(q)
}

model Tiny(n: int = 3, hidden: int = 5) {
  input  xs:    seq[real[2]]
  target label: class[2]

  carry state: real[n] = 0
  layer quantum = chain(n)
  layer net     = mlp(hidden, tanh, out: n)
  layer head    = linear(2)

  step x in xs {
    state <- net(x, quantum(state))
  }
  return head(state)
}

train Tiny {
  data      = "tiny.npz"
  loss      = cross_entropy
  optimizer = sgd(lr: 0.1)
  schedule  = constant
  warmup    = 0
  clip      = 0
  batch     = 32
  epochs    = 2
}
"""


def traced(folder: Path, *more: object, name: str = "run", model: str = MODEL) -> Path:
    """A run of a few steps, all of them recorded unless said otherwise."""
    path = project(folder, model, records=160)
    done = train(path, folder / name, *more)
    assert done.code == 0, done.err
    return folder / name


def killed(path: Path, out: Path, saves: int = 4, *more: object) -> Path:
    """A run that died after so many checkpoints, the first of which is at step 0."""
    import pytest

    from qrlang.training import checkpoint

    save, done = checkpoint.save, [0]

    def die(to: Path, *given: Any) -> None:
        save(to, *given)
        done[0] += to.name == "last.safetensors"
        if done[0] == saves:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save", die)
        args = ("train", path, "--out", out, "--threads", 1, "--checkpoint", "1 steps", *more)
        assert qrlc(*args).code == 130
    return out


def train(path: Path, out: Path, *more: object) -> Done:
    options = () if "--trace-budget" in more else ("--trace-budget", 0)
    return qrlc("train", path, "--out", out, "--threads", 1, "--trace", *options, *more)
