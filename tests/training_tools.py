"""For tests of training: a small model with data of its own, and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qrlang.training.feed import Batch

ROOT = Path(__file__).parents[1]

MODEL = """\
use std.ansatz.su2_ring
use std.readout.each_z

model Tiny(n: int = 2, hidden: int = 8) {
  input  xs:    seq[real[2]]
  target label: class[2]

  qubits     memory[n]
  readout    z      = each_z(memory)
  controller steer  = mlp(hidden, relu)
  layer      head   = linear(2)

  step x in xs {
    apply su2_ring(1)(steer(x, read z)) to memory
  }
  return head(read z)
}

train Tiny {
  data      = "tiny.npz"
  loss      = cross_entropy
  optimizer = adam(lr: 1e-2)
  batch     = 16
  epochs    = 2
}
"""


def project(folder: Path, model: str = MODEL, records: int = 200) -> Path:
    """A folder with a program and its data; returns the program's path."""
    lot = np.random.default_rng(0)
    xs = lot.normal(size=(records, 4, 2)).astype(np.float32)
    np.savez(folder / "tiny.npz", xs=xs, label=(xs[:, :, 0].sum(1) > 0).astype(np.int64))
    path = folder / "tiny.qrl"
    path.write_text(model)
    return path


def environment() -> dict[str, str]:
    """Of a process of its own: the checkout is found, and nothing depends on the machine."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("QRL")}
    before = kept.get("PYTHONPATH")
    kept["PYTHONPATH"] = str(ROOT) + (os.pathsep + before if before else "")
    return kept


def command(*args: object) -> list[str]:
    return [sys.executable, "-m", "qrlang", "train", *map(str, args)]


def start(*args: object) -> subprocess.Popen[bytes]:
    """`qrlc train …` in a process of its own."""
    return subprocess.Popen(
        command(*args), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def lines(run: Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    return [json.loads(x) for x in (run / name).read_text().splitlines()]


def weights(run: Path, which: str = "last") -> dict[str, Any]:
    from qrlang.training import checkpoint

    return checkpoint.load(run / "checkpoints" / f"{which}.safetensors")[0]


def same(a: Path, b: Path) -> bool:
    """Two runs, to the last bit."""
    import torch

    if (a / "metrics.jsonl").read_bytes() != (b / "metrics.jsonl").read_bytes():
        return False
    for which in ("last", "best"):
        one, two = weights(a, which), weights(b, which)
        if one.keys() != two.keys() or not all(torch.equal(one[k], two[k]) for k in one):
            return False
    return True


@dataclass
class Arrays:
    """Sequences that lie in memory, as a feed."""

    splits: Mapping[str, Batch]
    recall: bool = False
    streaming: bool = False

    @property
    def sizes(self) -> dict[str, int]:
        return {name: b.size for name, b in self.splits.items()}

    def count(self, split: str, batch: int) -> int:
        return -(-self.splits[split].size // batch)

    def batches(
        self, split: str, batch: int, *, seed: int, epoch: int, shuffle: bool, start: int = 0
    ) -> Iterator[Batch]:
        whole = self.splits[split]
        order = np.arange(whole.size)
        if shuffle:
            order = np.random.default_rng((seed, epoch)).permutation(whole.size)
        for k in range(start, self.count(split, batch)):
            pick = order[k * batch : (k + 1) * batch]
            yield Batch(
                {n: v[pick] for n, v in whole.values.items()},
                {n: v[pick] for n, v in whole.lengths.items()},
                None if whole.counted is None else whole.counted[pick],
            )

    def save(self, folder: Path) -> None:
        pass
