"""Carries, emitted values, lengths, extra steps, several loops and states, attention, functions."""

from itertools import pairwise

import pytest

pytest.importorskip("torch")
pytest.importorskip("llvmlite")

import numpy as np
import torch
from engine_programs import Build, angle, qrnn
from engine_tools import compare

from qrlang.engine.cpu.launch.kernel import kernel
from qrlang.engine.plan import plan
from qrlang.ir import program as ir
from qrlang.ir.functions import FUNCTIONS
from qrlang.ir.types import Type, real, seq

LENGTHS = torch.tensor([3, 1, 5, 4])


def z(qubits):
    return tuple(((1.0, ((q, "Z"),)),) for q in qubits)


def layer(theta, qubits, first=0):
    for i, q in enumerate(qubits):
        yield ir.Gate("ry", (q,), (angle(theta, first + 2 * i),))
        yield ir.Gate("rz", (q,), (angle(theta, first + 2 * i + 1),))
    for q, p in pairwise(qubits):
        yield ir.Gate("x", (p,), (), (q,))


def program(b, inputs, ops, outputs, registers):
    return ir.Program(
        "m",
        (),
        tuple(inputs),
        (),
        tuple(b.weights.values()),
        (),
        registers,
        tuple(ops),
        tuple(ir.Output("", o) for o in outputs),
    )


def recurrent(n=5, extra=0):
    """A carried vector beside the state, and a value emitted in every step."""
    b = Build()
    x, item = b.seq(3), b.real(3)
    start, arg, out = b.real(4), b.real(4), b.real(4)
    flag = b.real() if extra else None
    ops = [ir.Alloc(tuple(range(n))), ir.Const(start, (0.1, -0.2, 0.3, 0.4))]
    body = []
    read = b.real(n)
    body.append(ir.Expect(read, z(range(n))))
    both = b.real(n + 7 + bool(extra))
    body.append(ir.Concat(both, (read, item, arg) + ((flag,) if extra else ())))
    theta = b.linear(body, both, 2 * n, "steer")
    body.append(ir.Unitary(tuple(layer(theta, range(n)))))
    after = b.real(2)
    body.append(
        ir.Expect(after, (((1.0, ((0, "X"), (1, "Z"))),), ((0.5, ((2, "Y"),)), (0.5, ((3, "Z"),)))))
    )
    both2 = b.real(9)
    body.append(ir.Concat(both2, (after, item, arg)))
    kept = b.point(body, "tanh", b.linear(body, both2, 4, "keep"))
    seen = b.linear(body, after, 2, "emit")
    y = b.seq(2)
    ops.append(
        ir.Loop(
            "r",
            (ir.LoopItem(x, item),),
            (ir.LoopCarry(start, arg, kept, out),),
            tuple(body),
            (ir.LoopEmit("y", seen, y),),
            extra,
            flag,
        )
    )
    final = b.real(n)
    ops.append(ir.Expect(final, z(range(n))))
    return b, x, ops, y, out, final


@pytest.mark.parametrize("extra", [0, 2])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_carries_emits_lengths(extra, lengths):
    b, x, ops, y, out, final = recurrent(extra=extra)
    p = program(b, [x], ops, [y, out, final], (ir.Register("m", 0, 5),))
    for layout in ("state", "batch"):
        assert max(compare(p, 4, 5, "float64", lengths, layout=layout)) < 1e-10
    if extra and lengths is not None:
        assert max(compare(p, 4, 5, "float32", lengths)) < 2e-5


@pytest.mark.parametrize("score", ["dot", "scaled", "bilinear", "additive"])
def test_encoder_and_decoder_with_attention(score):
    """The decoder takes the encoder's state and looks back at what it emitted."""
    n = 4
    b, x, ops, y, carried, _ = recurrent(n + 1, extra=1)
    token = b.value(seq(Type("token", (), 7)))
    shifted = b.value(token.type)
    table = b.weight("embed.table", 7, 3)
    ops.append(ir.Shift(shifted, token, 2))
    item, arg, out = b.token(7), b.real(4), b.real(4)
    embedded = b.real(3)
    body = [ir.Embed(embedded, item, table)]
    query = b.linear(body, arg, 2, "query")
    names = {
        "bilinear": lambda: (b.weight("look.w", 2, 2),),
        "additive": lambda: (
            b.weight("look.a", 3, 2),
            b.weight("look.b", 3, 2),
            b.weight("look.bias", 3),
            b.weight("look.v", 3),
        ),
    }.get(score, lambda: ())()
    context = b.real(2)
    body.append(ir.Attend(context, score, query, y, y, names))
    both = b.real(9)
    body.append(ir.Concat(both, (embedded, context, arg)))
    theta = b.linear(body, both, 2 * n, "steer2")
    body.append(ir.Unitary(tuple(layer(theta, range(n)))))
    read = b.real(n)
    body.append(ir.Expect(read, z(range(n))))
    kept = b.point(body, "sigmoid", b.linear(body, read, 4, "keep2"))
    said = b.linear(body, read, 3, "say")
    z2 = b.seq(3)
    ops.append(
        ir.Loop(
            "d",
            (ir.LoopItem(shifted, item),),
            (ir.LoopCarry(carried, arg, kept, out),),
            tuple(body),
            (ir.LoopEmit("z", said, z2),),
        )
    )
    p = program(b, [x, token], ops, [z2, out], (ir.Register("m", 0, n + 1),))
    layout = "batch" if score in ("dot", "additive") else "state"
    assert max(compare(p, 4, 5, "float64", layout=layout)) < 1e-10
    assert max(compare(p, 4, 5, "float64", LENGTHS, layout=layout)) < 1e-10


def test_two_states_and_fresh_qubits_in_every_step():
    """A memory that lives on, and a circuit with qubits of its own in each step, read twice."""
    b = Build()
    x, item = b.seq(3), b.real(3)
    memory, fresh = range(4), range(4, 7)
    body = [ir.Alloc(tuple(fresh))]
    seen = b.real(4)
    body.append(ir.Expect(seen, z(memory)))
    both = b.real(7)
    body.append(ir.Concat(both, (seen, item)))
    theta = b.linear(body, both, 14, "steer")
    body.append(ir.Unitary(tuple(layer(theta, fresh))))
    first = b.real(2)
    body.append(ir.Expect(first, (((1.0, ((4, "X"),)),), ((1.0, ((5, "Z"), (6, "Z"))),))))
    turn = b.linear(body, first, 6, "turn")
    body.append(ir.Unitary(tuple(layer(turn, fresh))))
    p4 = b.real(4)
    body.append(ir.Probabilities(p4, (6, 4)))
    body.append(ir.Free(tuple(fresh)))
    drive = b.linear(body, p4, 8, "drive")
    body.append(ir.Unitary(tuple(layer(drive, memory))))
    ops = [ir.Alloc(tuple(memory)), ir.Loop("r", (ir.LoopItem(x, item),), (), tuple(body))]
    final = b.real(4)
    ops.append(ir.Expect(final, z(memory)))
    p = program(b, [x], ops, [final], (ir.Register("a", 0, 4, 0), ir.Register("f", 4, 3, 1)))
    for layout in ("state", "batch"):
        assert max(compare(p, 4, 5, "float64", LENGTHS, layout=layout)) < 1e-10
        assert max(compare(p, 4, 5, layout=layout)) < 2e-5


def test_no_loop_and_inputs_that_are_not_sequences():
    b = Build()
    x, angles = b.real(2, 3), b.real(4)
    ops = [ir.Alloc((0, 1, 2))]
    theta = b.linear(ops, x, 6, "w")
    ops.append(ir.Unitary((*layer(theta, range(3)), ir.Gate("rx", (0,), (angle(angles, 2),)))))
    coupling = b.real(3)
    ops.append(ir.UseWeight(coupling, b.weight("j", 3)))
    ops.append(
        ir.Evolve(
            ((angle(coupling, 0), ((0, "X"), (1, "X"))), (angle(coupling, 1), ((2, "Y"),))),
            angle(angles, 0),
            3,
        )
    )
    out = b.real(3)
    ops.append(ir.Expect(out, z(range(3))))
    p = program(b, [x, angles], ops, [out], (ir.Register("m", 0, 3),))
    assert max(compare(p, 5, 1, "float64")) < 1e-10


def test_whole_sequences():
    b = Build()
    x = b.seq(3)
    ops = []
    h = b.seq(4)
    ops.append(ir.Linear(h, x, b.weight("l.w", 4, 3), b.weight("l.b", 4)))
    t = b.seq(4)
    ops.append(ir.Pointwise(t, "tanh", (h,)))
    back = b.seq(4)
    ops.append(ir.Reverse(back, t))
    later = b.seq(4)
    ops.append(ir.Shift(later, back, 0))
    s = b.seq()
    flat = b.seq(1)
    ops.append(ir.Linear(flat, later, b.weight("s.w", 1, 4)))
    ops.append(ir.Reduce(s, "sum", flat, True))
    weights = b.seq()
    ops.append(ir.SoftmaxOver(weights, s))
    outs = [b.real(4)]
    ops.append(ir.WeightedSum(outs[0], weights, t))
    for fn in ("mean", "sum", "max"):
        outs.append(b.real(4))
        ops.append(ir.Pool(outs[-1], fn, t))
    # Where a vector has no sequence the mean is no number, and must not reach a weight.
    outs.append(b.real(4))
    norm = (b.weight("n.scale", 4), b.weight("n.shift", 4))
    ops.append(ir.LayerNorm(outs[-1], outs[1], *norm))
    outs.append(b.real(3, 4))
    ops.append(ir.Last(outs[-1], t, 3))
    p = program(b, [x], ops, [*outs, weights], ())
    assert max(compare(p, 4, 5, "float64")) < 1e-10


def test_pointwise_functions_and_their_derivatives():
    b = Build()
    x, y = b.real(5), b.real(5)
    ops = []
    outs = []
    positive = b.point(ops, "add", b.point(ops, "mul", x, x), b.point(ops, "exp", y))
    small = b.point(ops, "mul", b.point(ops, "tanh", x), b.point(ops, "cos", y))
    for fn, spec in FUNCTIONS.items():
        a = positive if fn in ("log", "sqrt", "pow") else small if fn in ("asin", "acos") else x
        outs.append(b.point(ops, fn, *(a, y, positive)[: spec.args]))
    p = program(b, [x, y], ops, outs, ())
    assert max(compare(p, 4, 1, "float64", scale=1.0)) < 1e-10
    assert max(compare(p, 4, 1, "float32")) < 2e-5


def test_classical_ops():
    b = Build()
    x = b.real(3, 4)
    ops, outs = [], []
    for fn in ("sum", "mean", "max", "min", "norm", "prod"):
        for last in (False, True):
            out = b.real(3) if last else b.real()
            ops.append(ir.Reduce(out, fn, x, last))
            outs.append(out)
    soft, norm = b.real(3, 4), b.real(3, 4)
    ops += [
        ir.Softmax(soft, x),
        ir.LayerNorm(norm, x, b.weight("n.scale", 4), b.weight("n.shift", 4)),
    ]
    turned = b.real(4, 3)
    ops.append(ir.Gather(turned, soft, tuple(4 * i + j for j in range(4) for i in range(3))))
    product, vector = b.real(3, 3), b.real(3)
    ops.append(ir.Matmul(product, norm, turned))
    flat = b.real(3)
    ops.append(ir.Reduce(flat, "sum", product, True))
    ops.append(ir.Matmul(vector, product, flat))
    p = program(b, [x], ops, [*outs, soft, norm, product, vector], ())
    assert max(compare(p, 4, 1, "float64")) < 1e-10


def test_sequences_walked_along_together_are_equally_long():
    b = Build()
    x, y, both = b.seq(2), b.seq(2), b.seq(2)
    k = kernel(plan(program(b, [x, y], [ir.Pointwise(both, "mul", (x, y))], [both], ())), "float64")
    one, other = np.full((3, 4, 2), 2.0), np.full((3, 5, 2), 3.0)
    assert (k.forward([one, other[:, :4]], [])[0][0] == 6).all()
    with pytest.raises(ValueError, match="not equally long"):
        k.forward([one, other], [])


def test_dropout():
    """Finite differences with the same seed; the share that falls; another seed, other lots."""
    b = Build()
    x = b.seq(8)
    ops = []
    dropped, pooled = b.seq(8), b.real(8)
    ops += [ir.Dropout(dropped, x, 0.25), ir.Pool(pooled, "sum", dropped)]
    found = plan(program(b, [x], ops, [pooled, dropped], ()))
    k = kernel(found, "float64")
    given = np.random.default_rng(0).uniform(1, 2, (40, 50, 8))
    with pytest.raises(ValueError, match="seed"):
        k.forward([given], [])
    (total, kept), saved = k.forward([given], [], seed=5)
    on = kept != 0
    assert abs(on.mean() - 0.75) < 0.01
    assert np.allclose(kept[on], given[on] / 0.75)
    assert np.allclose(total, kept.sum(1))
    (dx,) = k.backward(saved, [np.ones_like(total), None], True)[1]
    assert np.allclose(dx, on / 0.75)
    assert (k.forward([given], [], seed=6)[0][1] != 0).astype(int).ravel() @ on.ravel() < on.sum()
    assert np.array_equal(k.forward([given], [], seed=5)[0][1], kept)
    for axis in range(3):
        assert np.ptp(on.mean(tuple(a for a in range(3) if a != axis))) < 0.12


@pytest.mark.parametrize("batch", [1, 16, 37])
@pytest.mark.parametrize("threads", [1, 3])
def test_batches_and_threads(batch, threads):
    assert max(compare(qrnn(5), batch, 3, threads=threads)) < 2e-5


_ = real
