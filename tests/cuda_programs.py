"""Programs that make the CUDA printer go each of its ways."""

import random

from engine_programs import Build, angle, qrnn

from qrlang.ir import program as ir
from qrlang.ir.types import Type, seq


def long_carry(n=3, width=40):
    """More rows go from step to step than a thread keeps in registers."""
    b = Build()
    x, item = b.seq(2), b.real(2)
    start, arg, out = b.real(width), b.real(width), b.real(width)
    read, both = b.real(n), b.real(width + 2)
    body = [ir.Expect(read, tuple(((1.0, ((q, "Z"),)),) for q in range(n)))]
    body.append(ir.Concat(both, (item, arg)))
    theta = b.linear(body, both, n, "steer")
    body.append(ir.Unitary(tuple(ir.Gate("ry", (q,), (angle(theta, q),)) for q in range(n))))
    kept = b.point(body, "tanh", b.linear(body, both, width, "keep"))
    ops = [ir.Alloc(tuple(range(n))), ir.Const(start, (0.1,) * width)]
    ops.append(
        ir.Loop("e", (ir.LoopItem(x, item),), (ir.LoopCarry(start, arg, kept, out),), tuple(body))
    )
    end = b.real(n)
    ops.append(ir.Expect(end, tuple(((1.0, ((q, "Z"),)),) for q in range(n))))
    return ir.Program(
        "m", (), (x,), (), tuple(b.weights.values()), (), (ir.Register("m", 0, n, 0),),
        tuple(ops), (ir.Output("", out), ir.Output("", end)),
    )  # fmt: skip


def logarithms(n=3):
    """A controller of what is finite only where there is an input."""
    b = Build()
    x, item, z = b.seq(2), b.real(2), b.real(n)
    body = [ir.Expect(z, tuple(((1.0, ((q, "Z"),)),) for q in range(n)))]
    size = b.point(body, "abs", item)
    both = b.real(n + 4)
    body.append(ir.Concat(both, (z, b.point(body, "log", size), b.point(body, "div", item, size))))
    theta = b.linear(body, both, n, "steer")
    seen = b.point(body, "sqrt", b.point(body, "exp", theta))
    body.append(ir.Unitary(tuple(ir.Gate("ry", (q,), (angle(seen, q),)) for q in range(n))))
    ops = [ir.Alloc(tuple(range(n))), ir.Loop("e", (ir.LoopItem(x, item),), (), tuple(body))]
    end = b.real(n)
    ops.append(ir.Expect(end, tuple(((1.0, ((q, "Z"),)),) for q in range(n))))
    return ir.Program(
        "m", (), (x,), (), tuple(b.weights.values()), (), (ir.Register("m", 0, n),),
        tuple(ops), (ir.Output("", end),),
    )  # fmt: skip


def pooled(n=2):
    """A circuit after the loops, steered by a mean over time."""
    b = Build()
    x, mean = b.seq(n), b.real(n)
    gates = tuple(ir.Gate("ry", (q,), (angle(mean, q),)) for q in range(n))
    end = b.real(n)
    ops = (
        ir.Alloc(tuple(range(n))), ir.Pool(mean, "mean", x), ir.Unitary(gates),
        ir.Expect(end, tuple(((1.0, ((q, "Z"),)),) for q in range(n))),
    )  # fmt: skip
    return ir.Program(
        "m", (), (x,), (), (), (), (ir.Register("m", 0, n),), ops, (ir.Output("", end),),
    )  # fmt: skip


def all_pairs(n, layers):
    """Layers with a term for each pair of qubits, whose rotations are flips now and then."""

    def ansatz(linear, qubits):
        theta = linear(layers * (n * n + n))
        elements = []
        for depth in range(layers):
            first = depth * (n * n + n)
            elements += [ir.Gate("rzz", (i, j), (angle(theta, first + i * n + j),))
                         for i in qubits for j in range(i)]  # fmt: skip
            elements += [ir.Gate("ry", (q,), (angle(theta, first + n * n + q, 4.0),))
                         for q in qubits]  # fmt: skip
            elements += [ir.Gate("x", ((q + 1) % n,), (), (q,)) for q in qubits]
        return elements

    return qrnn(n, width=4, ansatz=ansatz)


def attention(n=3):
    """Carries, emits, tokens, attention over what was emitted, a loop in a loop, two states."""
    b = Build()
    x, item, token = b.seq(2), b.real(2), b.value(seq(Type("token", (), 5)))
    start, arg, out = b.real(2), b.real(2), b.real(2)
    ops = [ir.Alloc(tuple(range(n))), ir.Const(start, (0.1, -0.2))]
    read = b.real(n)
    body = [ir.Expect(read, tuple(((1.0, ((q, "Z"),)),) for q in range(n)))]
    both = b.real(n + 4)
    body.append(ir.Concat(both, (read, item, arg)))
    theta = b.linear(body, both, n, "steer")
    gates = [ir.Gate("ry", (q,), (angle(theta, q),)) for q in range(n)]
    body.append(ir.Unitary((*gates, ir.Gate("rzz", (0, 1), (angle(theta, 0),)))))
    kept = b.point(body, "tanh", b.linear(body, both, 2, "keep"))
    y = b.seq(2)
    ops.append(
        ir.Loop("e", (ir.LoopItem(x, item),), (ir.LoopCarry(start, arg, kept, out),), tuple(body),
                (ir.LoopEmit("y", kept, y),))
    )  # fmt: skip
    fresh = tuple(range(n, n + 2))
    this, carried, last = b.token(5), b.real(2), b.real(2)
    embedded = b.real(2)
    inner = [ir.Alloc(fresh), ir.Embed(embedded, this, b.weight("table", 5, 2))]
    context = b.real(2)
    names = (b.weight("a", 3, 2), b.weight("b", 3, 2), b.weight("bias", 3), b.weight("v", 3))
    inner.append(ir.Attend(context, "additive", carried, y, y, names))
    turns = b.point(inner, "add", embedded, context)
    inner.append(ir.Unitary(tuple(ir.Gate("rx", (q,), (angle(turns, i),)) for i, q in
                                  enumerate(fresh))))  # fmt: skip
    seen = b.real(2)
    inner.append(ir.Expect(seen, (((1.0, ((n, "Z"),)),), ((1.0, ((n, "Y"), (n + 1, "Z"))),))))
    said = b.seq(2)
    ops.append(
        ir.Loop("d", (ir.LoopItem(token, this),), (ir.LoopCarry(out, carried, seen, last),),
                tuple(inner), (ir.LoopEmit("z", seen, said),))
    )  # fmt: skip
    end = b.real(n)
    ops.append(ir.Expect(end, tuple(((1.0, ((q, "Z"),)),) for q in range(n))))
    return ir.Program(
        "m", (), (x, token), (), tuple(b.weights.values()), (),
        (ir.Register("m", 0, n, 0), ir.Register("f", n, 2, 1)), tuple(ops),
        tuple(ir.Output("", o) for o in (said, last, end)),
    )  # fmt: skip


def loop_in_loop(n=2, width=3):
    """Products before, within and after the loop that is within."""
    b = Build()
    x, item, row, z = b.seq(2), b.real(2), b.real(2), b.real(n)
    start, arg, out = b.real(width), b.real(width), b.real(width)
    inner_arg, inner_out = b.real(width), b.real(width)
    reads = tuple(((1.0, ((q, "Z"),)),) for q in range(n))
    body, within = [ir.Expect(z, reads)], []
    both, pair = b.real(n + 2 + width), b.real(width + 2)
    body.append(ir.Concat(both, (z, item, arg)))
    before = b.point(body, "tanh", b.linear(body, both, width, "before"))
    within.append(ir.Concat(pair, (inner_arg, row)))
    found = b.point(within, "tanh", b.linear(within, pair, width, "within"))
    carry = ir.LoopCarry(before, inner_arg, found, inner_out)
    body.append(ir.Loop("i", (ir.LoopItem(x, row),), (carry,), tuple(within)))
    kept = b.point(body, "tanh", b.linear(body, inner_out, width, "after"))
    theta = b.linear(body, before, n, "steer")
    body.append(ir.Unitary(tuple(ir.Gate("ry", (q,), (angle(theta, q),)) for q in range(n))))
    carry, end = ir.LoopCarry(start, arg, kept, out), b.real(n)
    ops = [ir.Alloc(tuple(range(n))), ir.Const(start, (0.1,) * width)]
    ops.append(ir.Loop("o", (ir.LoopItem(x, item),), (carry,), tuple(body)))
    ops.append(ir.Expect(end, reads))
    return ir.Program(
        "m", (), (x,), (), tuple(b.weights.values()), (), (ir.Register("m", 0, n, 0),),
        tuple(ops), (ir.Output("", out), ir.Output("", end)),
    )  # fmt: skip


def wired(seed, n, layers, ring):
    """Layers by lot, all with the same CNOTs, a ring of all qubits or any; some qubits are flipped,
    some not rotated."""
    dice = random.Random(seed)
    order = dice.sample(range(n), n)
    pairs = [dice.sample(range(n), 2) for _ in range(dice.randint(1, 3 * n))]
    if ring:
        pairs = [(order[i], order[(i + 1) % n]) for i in range(n)]
    rotated = [q for q in range(n) if dice.random() < 0.8]
    flipped = [q for q in range(n) if dice.random() < 0.2]

    def ansatz(linear, qubits):
        theta = linear(2 * n * layers)
        elements = []
        for depth in range(layers):
            for q in qubits:
                k = 2 * (depth * n + q)
                if q in rotated:  # by some turns: at times that is a flip
                    elements.append(ir.Gate("ry", (q,), (angle(theta, k, 6.0),)))
                if dice.random() < 0.5:
                    elements.append(ir.Gate("rz", (q,), (angle(theta, k + 1),)))
            elements += [ir.Gate("x", (q,)) for q in flipped]
            elements += [ir.Gate("x", (target,), (), (control,)) for control, target in pairs]
        return elements

    return qrnn(n, width=4, features=2, ansatz=ansatz, extra=1)
