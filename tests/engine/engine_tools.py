"""The kernel against plain torch in float64."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch_meaning import Meaning

from qrlang.engine.cpu.launch import kernel as making
from qrlang.engine.plan import Plan, plan

kernel = lru_cache(maxsize=None)(making.kernel)


def draw(program, batch, steps, seed=0, scale=1.0):
    g = torch.Generator().manual_seed(seed)
    weights = {}
    for w in program.weights:
        r = max(map(abs, w.initial.args)) if w.initial.args else 1.0
        weights[w.name] = (
            ((torch.rand(w.shape, generator=g, dtype=torch.float64) * 2 - 1) * r * scale)
            .float()
            .double()
        )
    inputs = []
    for v in program.inputs:
        lead = (batch, steps) if v.type.seq else (batch,)
        if v.type.kind == "token":
            inputs.append(torch.randint(0, v.type.size, lead, generator=g))
        else:
            inputs.append(
                (torch.rand((*lead, *v.type.shape), generator=g, dtype=torch.float64) * 2 - 1)
                .float()
                .double()
            )
    return weights, inputs


def compare(
    program,
    batch=3,
    steps=4,
    dtype="float32",
    lengths=None,
    seed=0,
    vectors="",
    layout="",
    threads=1,
    scale=1.0,
    want_kernel=False,
    make=None,
):
    """Worst relative errors: of the outputs, of weight gradients, of input gradients. `make`: what
    makes a kernel of a plan, if not the CPU."""
    p = plan(program)
    assert isinstance(p, Plan), p.reason
    weights, inputs = draw(program, batch, steps, seed, scale)
    for w in weights.values():
        w.requires_grad_(True)
    for x in inputs:
        if x.is_floating_point():
            x.requires_grad_(True)
    truth = Meaning(program, weights).run(inputs, lengths)
    g = torch.Generator().manual_seed(seed + 1)
    seeds = [torch.randn(y.shape, generator=g, dtype=torch.float64) for y in truth]
    sum((y * s).sum() for y, s in zip(truth, seeds, strict=True)).backward()
    k = make(p) if make else kernel(p, dtype, threads, vectors)
    real = [x.detach().numpy() for x in inputs]
    lens = [None if lengths is None or not s.seq else lengths.numpy() for s in p.inputs]
    out, saved = k.forward(real, [weights[w.name].detach().numpy() for w in p.weights], lens)
    flat = [s.numpy().reshape(y.shape) for s, y in zip(seeds, out, strict=True)]
    dw, dx = k.backward(saved, flat, True)

    def error(mine, true):
        mine, true = torch.from_numpy(mine).double().reshape(true.shape), true.detach()
        return float((mine - true).norm() / true.norm().clamp(min=1e-12)) if true.numel() else 0.0

    e_out = max(error(y, t) for y, t in zip(out, truth, strict=True))
    norm = max((float(w.grad.norm()) for w in weights.values() if w.grad is not None), default=1.0)
    e_w = 0.0
    for w, d in zip(p.weights, dw, strict=True):
        true = weights[w.name].grad
        if true is None:
            true = torch.zeros(w.shape, dtype=torch.float64)
        diff = float((torch.from_numpy(d).double().reshape(true.shape) - true).norm())
        e_w = max(e_w, diff / max(float(true.norm()), 1e-3 * norm))
    e_x = max(
        (
            error(d, x.grad)
            for x, d in zip(inputs, dx, strict=True)
            if d is not None and x.grad is not None
        ),
        default=0.0,
    )
    if want_kernel:
        return e_out, e_w, e_x, k
    return e_out, e_w, e_x
