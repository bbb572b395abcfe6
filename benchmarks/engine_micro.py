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

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent / "tests/engine")]

import numpy as np
import torch
from engine_programs import qrnn

from qrlang.engine.cpu.kernel import kernel
from qrlang.engine.plan import plan

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


class Torch(torch.nn.Module):
    """The same network by hand: gates on a complex state, autograd."""

    def __init__(self, n, layers, fused):
        super().__init__()
        self.n, self.layers, self.fused = n, layers, fused
        self.c1 = torch.nn.Linear(n + FEATURES, WIDTH)
        self.c2 = torch.nn.Linear(WIDTH, 3 * n * layers)
        self.head = torch.nn.Linear(n, CLASSES)
        i = torch.arange(1 << n)
        bits = [i >> q & 1 for q in range(n)]
        self.signs = torch.stack([1 - 2.0 * b for b in bits], 1)
        self.cnots = []
        ring = i.clone()
        for q in range(n):
            t = (q + 1) % n
            self.cnots.append(i ^ (bits[q] << t))
            ring = ring[i ^ (bits[q] << t)]
        self.ring = ring

    def one(self, psi, q, m):
        b = psi.shape[0]
        v = psi.reshape(b, -1, 2, 1 << q)
        return torch.einsum("bij,bkjl->bkil", m, v).reshape(b, -1)

    def forward(self, x):
        b = x.shape[0]
        psi = torch.zeros(b, 1 << self.n, dtype=torch.complex64)
        psi[:, 0] = 1
        for t in range(x.shape[1]):
            z = (psi.real**2 + psi.imag**2) @ self.signs
            theta = self.c2(torch.tanh(self.c1(torch.cat([z, x[:, t]], 1))))
            theta = theta.reshape(b, self.layers, self.n, 3) / 2
            for l in range(self.layers):
                if self.fused:
                    a, h, c = theta[:, l, :, 0], theta[:, l, :, 1], theta[:, l, :, 2]
                    co, si = torch.cos(h), torch.sin(h)
                    plus, minus = torch.polar(torch.ones_like(a), a + c), torch.polar(torch.ones_like(a), c - a)
                    m = torch.stack([torch.stack([co * plus.conj(), -si * minus.conj()], -1), torch.stack([si * minus, co * plus], -1)], -2)
                    for q in range(self.n):
                        psi = self.one(psi, q, m[:, q])
                    psi = psi[:, self.ring]
                else:
                    for q in range(self.n):
                        for k in range(3):
                            h = theta[:, l, q, k]
                            co, si = torch.cos(h), torch.sin(h)
                            zero = torch.zeros_like(co)
                            if k == 1:
                                m = torch.complex(torch.stack([torch.stack([co, -si], -1), torch.stack([si, co], -1)], -2), torch.zeros(b, 2, 2))
                            else:
                                m = torch.stack([torch.stack([torch.complex(co, -si), torch.complex(zero, zero)], -1), torch.stack([torch.complex(zero, zero), torch.complex(co, si)], -1)], -2)
                            psi = self.one(psi, q, m)
                    for c in self.cnots:
                        psi = psi[:, c]
        return self.head((psi.real**2 + psi.imag**2) @ self.signs)


def fma_peak():
    """Vector multiply-adds a second of this core, measured by a loop of them."""
    import ctypes

    from qrlang.engine.cpu import machine
    from qrlang.engine.cpu.asm import Fn, Format, Module

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
    code = machine.Code(machine.assemble(mod.text() + "@constants = hidden global ptr null\n", host), host)
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(code.address("peak"))
    memory = np.zeros(4096, np.float32)
    at = (memory.ctypes.data + 63) & ~63
    best = 1e9
    for _ in range(20):
        begun = time.process_time()
        call(at, 200_000)
        best = min(best, time.process_time() - begun)
    return 16 * 200_000 / best


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--kernel-only", action="store_true")
    parser.add_argument("--gate", action="store_true", help="gate by gate too, where it is slow")
    parser.add_argument("--vectors", default="")
    args = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    torch.manual_seed(0)
    peak = fma_peak()
    print(f"multiply-adds {peak / 1e9:.2f} G vectors/s")
    for name in args.cases or CASES:
        n, layers, steps, batch = CASES[name]
        program = qrnn(n, layers, WIDTH, FEATURES, classes=CLASSES, gain=1.0)
        p = plan(program)
        begun = time.process_time()
        k = kernel(p, "float32", 1, args.vectors)
        made = time.process_time() - begun
        x = torch.rand(batch, steps, FEATURES) * 2 - 1
        y = torch.randint(0, CLASSES, (batch,))
        hand = Torch(n, layers, True)
        shapes = {w.name: w.shape for w in p.weights}
        own = {
            "c1.w": hand.c1.weight, "c1.b": hand.c1.bias, "c2.w": hand.c2.weight,
            "c2.b": hand.c2.bias, "head.w": hand.head.weight, "head.b": hand.head.bias,
        }  # fmt: skip
        weights = [torch.nn.Parameter(own[s].detach().clone()) for s in shapes]
        arrays = [w.detach().numpy() for w in weights]
        d = np.random.default_rng(0).standard_normal((batch, CLASSES)).astype(np.float32)
        forward = median(lambda: k.forward([x.numpy()], arrays))
        saved = k.forward([x.numpy()], arrays)[1]
        backward = median(lambda: k.backward(saved, [d]))
        lanes = k.fmt.lanes
        work = (8 * n + 22) * (1 << n) / lanes * layers * steps * batch / peak * 1e3
        line = f"{name:5} kernel {forward:7.3f} + {backward:7.3f} = {forward + backward:7.3f} ms  limit {work / (forward + backward):4.0%}  made in {made:.2f} s"
        print(line, flush=True)
        if args.kernel_only:
            continue
        optimiser = torch.optim.Adam(weights, fused=True)

        def step(run, opt):
            opt.zero_grad()
            torch.nn.functional.cross_entropy(run(), y).backward()
            opt.step()

        mine = median(lambda: step(lambda: Native.apply(k, x, *weights), optimiser))
        line = f"      step {mine:8.3f} ms"
        if not args.no_torch:
            for fused in (True, False):
                if not fused and not args.gate and steps > 100:
                    continue
                net = Torch(n, layers, fused)
                opt = torch.optim.Adam(net.parameters(), fused=True)
                if fused:
                    net.load_state_dict(hand.state_dict())
                    a, b = Native.apply(k, x, *[own[s] for s in shapes]), hand(x)
                    line += f"  differ {float((a - b).detach().norm() / b.detach().norm()):.1e}"
                other = median(lambda: step(lambda: net(x), opt), 2.0, 2)
                line += f"  {'fused' if fused else 'gates'} {other:9.1f} ms = {other / mine:6.1f}x"
        print(line, flush=True)


if __name__ == "__main__":
    main()
