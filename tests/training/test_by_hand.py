"""A run on one long series, update by update, against the same written by hand in plain torch."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from safetensors.torch import save_file  # noqa: E402
from training_tools import lines  # noqa: E402

import qrlang  # noqa: E402
from qrlang.cli.main import run as qrlc  # noqa: E402

LANES, SEGMENT, EPOCHS = 4, 16, 3
MODEL = f"""\
use std.readout.each_z

model Leaky {{
  input  x: seq[real[1]]
  target y: seq[real[1]]
  carry  h: real[3] = 0
  layer  mix  = linear(3)
  layer  head = linear(1, gain: 1)
  step x_t in x {{
    qubits q[3]
    let a = tanh(mix(x_t, h))
    for i in 0..3 {{ ry(a[i]) q[i] }}
    h <- 0.5 * read each_z(q) + 0.5 * h
    emit head(h)
  }}
}}

train Leaky {{
  data       = csv(path: "s.csv", ahead: 1)
  optimizer  = adam(lr: 1e-2)
  schedule   = constant
  warmup     = 0
  clip       = 0
  batch      = {LANES}
  length     = {SEGMENT}
  epochs     = {EPOCHS}
  validation = 0
  precision  = double
  log        = "1 steps"
}}
"""


@pytest.mark.parametrize("carried", [False, True])
def test_each_update_of_a_stream(tmp_path: Path, carried: bool) -> None:
    t = np.arange(403)
    x = np.round(np.sin(0.3 * t) * np.cos(0.05 * t) * 1024) / 1024  # whole in single precision
    (tmp_path / "s.csv").write_text("\n".join(["x", *map(str, x)]) + "\n")
    path = tmp_path / "m.qrl"
    path.write_text(MODEL)
    weights = qrlang.load(path, dtype=torch.float64).state_dict()
    save_file({f"model.{k}": v for k, v in weights.items()}, tmp_path / "w.safetensors")
    asked = ["train", str(path), "--init", str(tmp_path / "w.safetensors"),
             "--out", str(tmp_path / "run")]  # fmt: skip
    assert qrlc([*asked, *(["--truncate", str(SEGMENT)] if carried else [])]) == 0
    found = [line["loss"] for line in lines(tmp_path / "run") if line["split"] == "train"]
    expected = by_hand(x, {k: v.clone() for k, v in weights.items()}, carried)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def by_hand(x: np.ndarray, w: dict[str, torch.Tensor], carried: bool) -> list[float]:
    series = torch.as_tensor(x)
    count = int(0.8 * (len(x) - 1))
    sizes = [count // LANES + (k < count % LANES) for k in range(LANES)]
    begins = [0, *accumulate(sizes)]
    optimizer = torch.optim.Adam([v.requires_grad_() for v in w.values()], lr=1e-2)
    losses = []
    for _ in range(EPOCHS):
        h = torch.zeros(LANES, 3, dtype=torch.float64)
        for start in range(0, max(sizes), SEGMENT):
            going = [k for k in range(LANES) if sizes[k] > start]
            h = h[: len(going)].detach() if carried else torch.zeros_like(h[: len(going)])
            total, terms = torch.zeros((), dtype=torch.float64), 0
            for step in range(start, start + SEGMENT):
                alive = torch.tensor([step < sizes[k] for k in going])
                at = torch.tensor([begins[k] + min(step, sizes[k] - 1) for k in going])
                a = torch.tanh(torch.cat([series[at, None], h], 1) @ w["mix.w"].T + w["mix.b"])
                h = torch.where(alive[:, None], 0.5 * torch.cos(a) + 0.5 * h, h)  # ⟨Z⟩ of RY
                off = (h @ w["head.w"].T + w["head.b"])[:, 0] - series[at + 1]
                total, terms = total + (off**2 * alive).sum(), terms + int(alive.sum())
            optimizer.zero_grad()
            (total / terms).backward()
            optimizer.step()
            losses.append(float(total.detach()) / terms)
    return losses
