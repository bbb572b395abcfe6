"""Programs built by hand, and their meaning in plain torch at float64."""

from __future__ import annotations

from qrlang.ir import program as ir
from qrlang.ir.types import Type, real, seq


class Build:
    def __init__(self):
        self.next = 0
        self.weights = {}

    def value(self, type_, name=""):
        self.next += 1
        return ir.Value(self.next - 1, type_, name)

    def real(self, *shape):
        return self.value(real(*shape))

    def seq(self, *shape):
        return self.value(seq(real(*shape)))

    def token(self, size):
        return self.value(Type("token", (), size))

    def weight(self, name, *shape, scale=None):
        fan = shape[-1]
        scale = fan**-0.5 if scale is None else scale
        self.weights[name] = ir.Weight(name, shape, ir.Initial("uniform", (-scale, scale)))
        return name

    def linear(self, ops, x, count, name, bias=True, gain=1.0, scale=None):
        out = self.real(count)
        w = self.weight(f"{name}.w", count, x.type.count, scale=scale)
        b = self.weight(f"{name}.b", count, scale=3.0) if bias else None
        ops.append(ir.Linear(out, x, w, b, gain))
        return out

    def point(self, ops, fn, *args):
        out = self.value(max((a.type for a in args), key=lambda t: t.count))
        ops.append(ir.Pointwise(out, fn, args))
        return out


def angle(value, index, factor=1.0, constant=0.0):
    return ir.Angle(constant, (ir.Term(factor, value, index),))


def qrnn(
    n=6,
    layers=2,
    width=8,
    features=3,
    activation="tanh",
    ansatz=None,
    readout=None,
    hidden=None,
    classes=3,
    extra=0,
    observables=None,
    gain=2.0,
    dropout=0.0,
):
    """Z of all qubits -> controller -> rotations and a ring of CNOTs, read at the end."""
    b = Build()
    x = b.seq(features)
    item = b.real(features)
    body = []
    qubits = tuple(range(n))
    if observables is None:
        observables = tuple(((1.0, ((q, "Z"),)),) for q in qubits)
    z = b.real(len(observables))
    body.append(ir.Expect(z, observables))
    flag = b.real() if extra else None
    both = b.real(len(observables) + features + bool(extra))
    body.append(ir.Concat(both, (z, item) + ((flag,) if extra else ())))
    h = b.linear(body, both, hidden or width, "c1")
    h = b.point(body, activation, h)
    if dropout:
        kept = b.real(hidden or width)
        body.append(ir.Dropout(kept, h, dropout))
        h = kept
    if ansatz is None:
        count = 3 * n * layers
        theta = b.linear(body, h, count, "c2")
        elements = []
        for depth in range(layers):
            for q in qubits:
                k = 3 * (depth * n + q)
                elements.append(
                    ir.Run(
                        q,
                        (
                            ir.Gate("rz", (q,), (angle(theta, k),)),
                            ir.Gate("ry", (q,), (angle(theta, k + 1),)),
                            ir.Gate("rz", (q,), (angle(theta, k + 2),)),
                        ),
                    )
                )
            elements += [ir.Gate("x", ((q + 1) % n,), (), (q,)) for q in qubits]
    else:
        elements = ansatz(lambda count: b.linear(body, h, count, "c2"), qubits)
    body.append(ir.Unitary(tuple(elements)))
    loop = ir.Loop("step", (ir.LoopItem(x, item),), (), tuple(body), (), extra, flag)
    final = b.real(len(observables))
    ops = [ir.Alloc(qubits), loop, ir.Expect(final, observables)]
    y = b.linear(ops, final, classes, "head", gain=gain)
    return ir.Program(
        "m",
        (),
        (x,),
        (),
        tuple(b.weights.values()),
        (),
        (ir.Register("m", 0, n),),
        tuple(ops),
        (ir.Output("", y),),
    )


def gate_program(gates, n, angles, observables=None, prelude=True):
    """One recurrence whose step is a few gates steered by a linear layer of what was read."""

    def ansatz(linear, qubits):
        theta = linear(angles + 2 * n)
        elements = []
        if prelude:
            for q in qubits:
                elements += [
                    ir.Gate("ry", (q,), (angle(theta, angles + q),)),
                    ir.Gate("rz", (q,), (angle(theta, angles + n + q),)),
                ]
        return elements + list(gates(theta))

    return qrnn(n, ansatz=ansatz, observables=observables)


def mixed_observables(n):
    return (
        ((1.0, ((0, "X"),)),),
        ((0.5, ((0, "Y"), (1, "Z"))), (-0.25, ()), (1.5, ((n - 1, "Z"),))),
        ((1.0, tuple((q, "XYZ"[q % 3]) for q in range(n))),),
        ((1.0, ((1, "Z"),)),),
        ((1.0, ((0, "X"), (1, "X"))), (1.0, ((0, "Y"), (1, "Y"))), (1.0, ((0, "Z"), (1, "Z")))),
    )
