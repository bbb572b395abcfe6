"""Long sequences: rounding does not grow beyond what plain torch has, and memory not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("llvmlite")

import numpy as np
import torch
from engine_programs import qrnn
from engine_tools import draw, kernel

from qrlang.engine.plan import plan

N = 4
TURN = (torch.cos, torch.sin)


def pair(u, v):
    return torch.einsum("bij,bkl->bikjl", u, v).reshape(-1, 4, 4)


class ByHand:
    """The program of `qrnn(4, 1)` in plain torch, in either precision."""

    def __init__(self, weights, dtype):
        self.w = {k: v.detach().to(dtype).clone().requires_grad_() for k, v in weights.items()}
        self.kind = torch.complex64 if dtype == torch.float32 else torch.complex128
        index = torch.arange(1 << N)
        bit = [index >> (N - 1 - q) & 1 for q in range(N)]
        self.signs = torch.stack([1 - 2 * b for b in bit], 1).to(dtype)
        self.ring = index
        for q in range(N):
            self.ring = self.ring[index ^ (bit[q] << (N - 1 - (q + 1) % N))]

    def run(self, x):
        w, batch = self.w, len(x)
        x = x.to(self.signs.dtype)
        psi = torch.zeros(batch, 1 << N, dtype=self.kind)
        psi[:, 0] = 1
        for t in range(x.shape[1]):
            z = (psi.real.square() + psi.imag.square()) @ self.signs
            h = torch.tanh(torch.cat([z, x[:, t]], 1) @ w["c1.w"].T + w["c1.b"])
            half = (h @ w["c2.w"].T + w["c2.b"]).reshape(batch, N, 3) / 2
            first, cos, sin, last = half[..., 0], *(f(half[..., 1]) for f in TURN), half[..., 2]
            plus = torch.polar(torch.ones_like(cos), last + first)
            minus = torch.polar(torch.ones_like(cos), last - first)
            rows = [cos * plus.conj(), -sin * minus.conj(), sin * minus, cos * plus]
            u = torch.stack(rows, -1).reshape(batch, N, 2, 2)
            a, b, c, d = u.unbind(1)
            psi = pair(a, b) @ psi.reshape(batch, 4, 4) @ pair(c, d).transpose(1, 2)
            psi = psi.reshape(batch, -1)
            psi = psi[:, self.ring]
        z = (psi.real.square() + psi.imag.square()) @ self.signs
        (2.0 * (z @ w["head.w"].T) + w["head.b"]).sum().backward()
        return {k: v.grad.double().numpy() for k, v in w.items()}


@pytest.mark.parametrize("steps", [784, 5000])
def test_drift(steps):
    """Gradients in complex64 against float64: within twice of what plain torch has in complex64,
    which keeps every state. Weak feedback: where a recurrence is chaotic all of them lose it."""
    program = qrnn(N, layers=1, width=8)
    weights, (x,) = draw(program, 2, steps)
    weights["c1.w"][:, :N] *= 0.2
    truth = ByHand(weights, torch.float64).run(x)
    single = ByHand(weights, torch.float32).run(x)
    found = plan(program)

    def error(gradients):
        return max(
            np.linalg.norm(gradients[k] - truth[k]) / np.linalg.norm(truth[k]) for k in truth
        )

    for layout in ("state", "batch"):
        k = kernel(found, "float32", 1, "", layout)
        arrays = [weights[w.name].float().numpy() for w in found.weights]
        y, saved = k.forward([x.float().numpy()], arrays)
        mine = k.backward(saved, [np.ones_like(y[0])])[0]
        named = {w.name: g.astype(float) for w, g in zip(found.weights, mine, strict=True)}
        assert error(named) < 2 * error(single)


MEMORY = """
import resource, sys
import numpy as np
import torch
from engine_programs import qrnn
from engine_tools import draw
from qrlang.engine.cpu.launch.kernel import kernel
from qrlang.engine.plan import plan

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

program = qrnn(10)
p = plan(program)
weights, _ = draw(program, 1, 1)
arrays = [weights[w.name].float().numpy() for w in p.weights]
longest = np.ones((4, 5000, 3), np.float32)
floor = peak()
k = kernel(p, "float32", 1)
x = longest[:, : int(sys.argv[1])]
for _ in range(2):
    y, saved = k.forward([x], arrays)
    k.backward(saved, [np.ones_like(y[0])])
print(peak() - floor)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other units elsewhere")
def test_memory_does_not_grow_with_the_sequence(tmp_path):
    """What the engine adds to a process, also where it has to make the kernel first."""
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent.parent)])
    env = os.environ | {"PYTHONPATH": path, "QRLANG_COMPILE": "", "OMP_NUM_THREADS": "1"}
    env["QRLANG_CACHE_DIR"] = str(tmp_path)
    used = {}
    for steps in (64, 784, 5000):
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(steps)], env=env,
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        used[steps] = float(done.stdout)
    assert used[784] < 8
    assert max(used.values()) - min(used.values()) < 5
