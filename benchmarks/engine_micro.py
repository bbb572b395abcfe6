"""Measures the CPU kernel against hand-written torch, in one run on one core.

    python benchmarks/engine_micro.py [c4 c6 c8 c10 c12 c14 cmem] [--no-torch] [--kernel-only]

Each line: the whole training step (forward, loss, backward, Adam) of the kernel and of torch gate
by gate and with fused 2x2 gates, the ratios, and the kernel's share of the core's multiply-add
limit. Times are process CPU time, medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests/engine")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from engine_programs import qrnn  # noqa: E402

from qrlang.engine.cpu.launch.kernel import kernel  # noqa: E402
from qrlang.engine.plan import plan  # noqa: E402

CASES = {
    "c4": (4, 1, 16, 32), "c6": (6, 2, 32, 32), "c8": (8, 2, 32, 32), "c10": (10, 2, 64, 16),
    "c12": (12, 2, 32, 8), "c14": (14, 2, 16, 8), "cmem": (10, 2, 784, 4),
}  # fmt: skip
FEATURES, WIDTH, CLASSES = 8, 32, 3


def median(run, seconds=1.0, least=3):
    run()
    times, until = [], time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < until:
        begun = time.process_time()
        run()
        times.append(time.process_time() - begun)
    return statistics.median(times) * 1e3


class Native(torch.autograd.Function):
    @staticmethod
    def forward(ctx, k, x, *weights):
        (out,), ctx.saved = k.forward([x.numpy()], [w.detach().numpy() for w in weights])
        ctx.k = k
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx, d):
        weights, _ = ctx.k.backward(ctx.saved, [d.numpy()])
        return None, None, *map(torch.from_numpy, weights)


def ry(half):
    c, s = torch.cos(half), torch.sin(half)
    m = torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)
    return torch.complex(m, torch.zeros_like(m))


def rz(half):
    phase = torch.polar(torch.ones_like(half), half)
    return torch.diag_embed(torch.stack([phase.conj(), phase], -1))


def fused(a, b, c):
    """RZ(c) RY(b) RZ(a) of half angles."""
    cos, sin = torch.cos(b), torch.sin(b)
    plus = torch.polar(torch.ones_like(a), a + c)
    minus = torch.polar(torch.ones_like(a), c - a)
    top = torch.stack([cos * plus.conj(), -sin * minus.conj()], -1)
    return torch.stack([top, torch.stack([sin * minus, cos * plus], -1)], -2)


class Torch(torch.nn.Module):
    """The same network by hand: gates on a complex state, autograd."""

    def __init__(self, n, layers, fuse):
        super().__init__()
        self.n, self.layers, self.fuse = n, layers, fuse
        self.c1 = torch.nn.Linear(n + FEATURES, WIDTH)
        self.c2 = torch.nn.Linear(WIDTH, 3 * n * layers)
        self.head = torch.nn.Linear(n, CLASSES)
        i = torch.arange(1 << n)
        bits = [i >> q & 1 for q in range(n)]
        self.signs = torch.stack([1 - 2.0 * b for b in bits], 1)
        self.cnots = []
        self.ring = i.clone()
        for q in range(n):
            self.cnots.append(i ^ (bits[q] << (q + 1) % n))
            self.ring = self.ring[self.cnots[-1]]

    def one(self, psi, q, m):
        b = psi.shape[0]
        v = psi.reshape(b, -1, 2, 1 << q)
        return torch.einsum("bij,bkjl->bkil", m, v).reshape(b, -1)

    def layer(self, psi, half):
        if self.fuse:
            m = fused(*half.unbind(-1))
            for q in range(self.n):
                psi = self.one(psi, q, m[:, q])
            return psi[:, self.ring]
        for q in range(self.n):
            for k, gate in enumerate((rz, ry, rz)):
                psi = self.one(psi, q, gate(half[:, q, k]))
        for c in self.cnots:
            psi = psi[:, c]
        return psi

    def forward(self, x):
        b = x.shape[0]
        psi = torch.zeros(b, 1 << self.n, dtype=torch.complex64)
        psi[:, 0] = 1
        for t in range(x.shape[1]):
            z = (psi.real**2 + psi.imag**2) @ self.signs
            theta = self.c2(torch.tanh(self.c1(torch.cat([z, x[:, t]], 1))))
            half = theta.reshape(b, self.layers, self.n, 3) / 2
            for depth in range(self.layers):
                psi = self.layer(psi, half[:, depth])
        return self.head((psi.real**2 + psi.imag**2) @ self.signs)


def fma_peak():
    """Vector multiply-adds a second of this core, measured by a loop of them."""
    import ctypes

    from qrlang.engine.cpu.llvm import machine
    from qrlang.engine.cpu.llvm.asm import Fn, Format, Module

    host = machine.host()
    mod = Module(Format(host, 4))
    fn = Fn(mod, "peak", [("x", "ptr"), ("n", "i64")])
    fn.export()
    start = [fn.load(fn.args["x"], i * mod.fmt.row) for i in range(16)]
    c = fn.load(fn.args["x"], 16 * mod.fmt.row)
    with fn.loop(0, fn.args["n"], 1, start) as loop:
        loop.next = [fn.fma(v, c, c) for v in loop.values]
    for i, v in enumerate(loop.values):
        fn.store(v, fn.args["x"], i * mod.fmt.row)
    fn.done()
    code = machine.Code(machine.assemble(mod.text(), host), host)
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(code.address("peak"))
    memory = np.zeros(4096, np.float32)
    at = (memory.ctypes.data + 63) & ~63
    best = 1e9
    for _ in range(20):
        begun = time.process_time()
        call(at, 200_000)
        best = min(best, time.process_time() - begun)
    return 16 * 200_000 / best


def bench(name, args, peak):
    n, layers, steps, batch = CASES[name]
    p = plan(qrnn(n, layers, WIDTH, FEATURES, classes=CLASSES, gain=1.0))
    begun = time.process_time()
    k = kernel(p, "float32", 1, args.vectors)
    made = time.process_time() - begun
    x = torch.rand(batch, steps, FEATURES) * 2 - 1
    y = torch.randint(0, CLASSES, (batch,))
    hand = Torch(n, layers, True)
    own = {
        "c1.w": hand.c1.weight, "c1.b": hand.c1.bias, "c2.w": hand.c2.weight,
        "c2.b": hand.c2.bias, "head.w": hand.head.weight, "head.b": hand.head.bias,
    }  # fmt: skip
    weights = [torch.nn.Parameter(own[w.name].detach().clone()) for w in p.weights]
    arrays = [w.detach().numpy() for w in weights]
    d = np.random.default_rng(0).standard_normal((batch, CLASSES)).astype(np.float32)
    forward = median(lambda: k.forward([x.numpy()], arrays))
    saved = k.forward([x.numpy()], arrays)[1]
    backward = median(lambda: k.backward(saved, [d]))
    total = forward + backward
    vectors = (1 << n) / k.fmt.lanes * layers * steps * batch
    share = (8 * n + 22) * vectors / peak * 1e3 / total
    print(
        f"{name:5} kernel {forward:7.3f} + {backward:7.3f} = {total:7.3f} ms  "
        f"limit {share:4.0%}  made in {made:.2f} s",
        flush=True,
    )
    if args.kernel_only:
        return

    def training_step(run, parameters):
        optimiser = torch.optim.Adam(parameters, fused=True)

        def step():
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(run(), y).backward()
            optimiser.step()

        return step

    mine = median(training_step(lambda: Native.apply(k, x, *weights), weights))
    line = f"      step {mine:8.3f} ms"
    if not args.no_torch:
        with torch.no_grad():
            a, b = Native.apply(k, x, *[own[w.name] for w in p.weights]), hand(x)
        line += f"  differ {float((a - b).norm() / b.norm()):.1e}"
        for fuse in (True, False):
            if not fuse and not args.gate and steps > 100:
                continue
            net = Torch(n, layers, fuse)
            other = median(training_step(lambda net=net: net(x), list(net.parameters())), 2.0, 2)
            line += f"  {'fused' if fuse else 'gates'} {other:9.1f} ms = {other / mine:6.1f}x"
    print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--kernel-only", action="store_true")
    parser.add_argument("--gate", action="store_true", help="gate by gate too, where it is slow")
    parser.add_argument("--vectors", default="", help="avx512, avx2 or portable")
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    torch.manual_seed(0)
    peak = fma_peak()
    print(f"multiply-adds {peak / 1e9:.2f} G vectors/s")
    for name in args.cases:
        bench(name, args, peak)


if __name__ == "__main__":
    main()
