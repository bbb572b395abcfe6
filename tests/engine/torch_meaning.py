"""What a program means, in plain torch at float64: gate by gate, whole states, autograd.

Written apart from the engine and sharing nothing with it but the gate table's definitions.
"""

from __future__ import annotations

import math

import torch

from qrlang.ir import program as ir

C = torch.complex128


def pauli(letter):
    return torch.tensor(
        {
            "I": [[1, 0], [0, 1]],
            "X": [[0, 1], [1, 0]],
            "Y": [[0, -1j], [1j, 0]],
            "Z": [[1, 0], [0, -1]],
        }[letter],
        dtype=C,
    )


def word(letters):
    out = torch.ones(1, 1, dtype=C)
    for letter in letters:
        out = torch.kron(out, pauli(letter))
    return out


def batch_diag(*phases):
    return torch.diag_embed(torch.stack(phases, -1))


def matrix(name, a):
    """[B, d, d] of a gate; a: list of [B] angles."""
    from qrlang.gates import GATES

    spec = GATES[name]
    if spec.pauli:
        p = word(spec.pauli)
        c, s = torch.cos(a[0] / 2).to(C), torch.sin(a[0] / 2).to(C)
        return c[:, None, None] * torch.eye(len(p), dtype=C) - 1j * s[:, None, None] * p
    if name == "p":
        return batch_diag(torch.ones_like(a[0]).to(C), torch.exp(1j * a[0]))
    if name == "u":
        t, f, lam = a
        c, s = torch.cos(t / 2).to(C), torch.sin(t / 2).to(C)
        return torch.stack(
            [
                torch.stack([c, -torch.exp(1j * lam) * s], -1),
                torch.stack([torch.exp(1j * f) * s, torch.exp(1j * (f + lam)) * c], -1),
            ],
            -2,
        )
    if name == "r":
        t, f = a
        c, s = torch.cos(t / 2).to(C), torch.sin(t / 2).to(C)
        return torch.stack(
            [
                torch.stack([c, -1j * torch.exp(-1j * f) * s], -1),
                torch.stack([-1j * torch.exp(1j * f) * s, c], -1),
            ],
            -2,
        )
    if name == "xx_plus_yy":
        c, s = torch.cos(a[0] / 2).to(C), -1j * torch.sin(a[0] / 2).to(C)
        o, z = torch.ones_like(c), torch.zeros_like(c)
        return torch.stack(
            [torch.stack(r, -1) for r in ([o, z, z, z], [z, c, s, z], [z, s, c, z], [z, z, z, o])],
            -2,
        )
    return torch.tensor(spec.matrix(), dtype=C)[None]


class Meaning:
    def __init__(self, program, weights, training=True):
        self.program, self.weights = program, weights
        self.space_of, self.bits = {}, {}
        for r in program.registers:
            for q in range(r.start, r.start + r.size):
                self.space_of[q] = r.space
                self.bits.setdefault(r.space, []).append(q)

    def run(self, inputs, lengths=None):
        self.env, self.state = {}, {}
        self.b = len(inputs[0])
        self.lengths = {}
        for value, x in zip(self.program.inputs, inputs, strict=True):
            self.env[value.id] = x
            if value.type.seq:
                self.lengths[value.id] = (
                    torch.full((self.b,), x.shape[1]) if lengths is None else lengths
                )
        self.body(self.program.body)
        return [self.env[o.value.id] for o in self.program.outputs]

    def body(self, ops):
        for op in ops:
            self.op(op)

    # --- quantum

    def angle(self, a):
        total = torch.full((self.b,), a.constant, dtype=torch.float64)
        for t in a.terms:
            total = total + t.coefficient * self.env[t.value.id].reshape(self.b, -1)[:, t.index]
        return total

    def apply(self, m, qubits):
        """m [B or 1, d, d] on qubits, the first the most significant."""
        s = self.space_of[qubits[0]]
        order = self.bits[s]
        axes = [order.index(q) + 1 for q in qubits]
        psi = torch.movedim(self.state[s], axes, list(range(1, len(axes) + 1)))
        shape = psi.shape
        psi = torch.matmul(m, psi.reshape(self.b, m.shape[-1], -1)).reshape(shape)
        self.state[s] = torch.movedim(psi, list(range(1, len(axes) + 1)), axes)

    def element(self, e):
        if isinstance(e, ir.Run):
            for g in e.gates:
                self.element(g)
        elif isinstance(e, ir.Diagonal):
            for qubits, a in e.terms:
                x = self.angle(a)
                d = torch.diagonal(word("Z" * len(qubits))).real
                self.apply(batch_diag(*[torch.exp(-0.5j * x * v) for v in d]), qubits)
        elif isinstance(e, ir.Permutation):
            k = len(e.qubits)
            m = torch.zeros(1 << k, 1 << k, dtype=C)
            for x in range(1 << k):
                bits = [x >> (k - 1 - i) & 1 for i in range(k)]
                new = [
                    (sum(bits[j] for j in range(k) if e.rows[i] >> j & 1) + (e.flips >> i & 1)) % 2
                    for i in range(k)
                ]
                m[sum(v << (k - 1 - i) for i, v in enumerate(new)), x] = 1
            self.apply(m[None], e.qubits)
        else:
            m = matrix(e.name, [self.angle(a) for a in e.angles])
            d = m.shape[-1]
            k = len(e.controls) + len(e.zeros)
            full = torch.eye(d << k, dtype=C).repeat(len(m), 1, 1)
            at = sum(1 << (k - 1 - i) for i in range(len(e.controls))) * d
            full[:, at : at + d, at : at + d] = m
            self.apply(full, e.controls + e.zeros + e.qubits)

    def expectation(self, string):
        if not string:
            return torch.ones(self.b, dtype=torch.float64)
        s = self.space_of[string[0][0]]
        before = self.state[s]
        self.apply(word("".join(p for _, p in string))[None], tuple(q for q, _ in string))
        after, self.state[s] = self.state[s], before
        return (before.conj() * after).reshape(self.b, -1).sum(1).real

    # --- everything

    def op(self, op):
        env, b = self.env, self.b

        def get(v):
            return env[v.id]

        def flat(v):
            return env[v.id].reshape(b, -1)

        match op:
            case ir.Alloc():
                s = self.space_of[op.qubits[0]]
                psi = torch.zeros(b, 1 << len(self.bits[s]), dtype=C)
                psi[:, 0] = 1
                self.state[s] = psi.reshape(b, *[2] * len(self.bits[s]))
            case ir.Free():
                pass
            case ir.Unitary():
                for e in op.elements:
                    self.element(e)
            case ir.Evolve():
                for _ in range(max(1, op.trotter)):
                    for coefficient, string in op.terms:
                        p = word("".join(x for _, x in string))
                        a = self.angle(coefficient) * self.angle(op.time) / max(1, op.trotter)
                        m = (
                            torch.cos(a).to(C)[:, None, None] * torch.eye(len(p), dtype=C)
                            - 1j * torch.sin(a).to(C)[:, None, None] * p
                        )
                        self.apply(m, tuple(q for q, _ in string))
            case ir.Expect():
                columns = [sum(f * self.expectation(s) for f, s in o) for o in op.observables]
                env[op.out.id] = torch.stack(columns, 1)
            case ir.Probabilities():
                s = self.space_of[op.qubits[0]]
                order = self.bits[s]
                p = self.state[s].abs() ** 2
                axes = [order.index(q) + 1 for q in op.qubits]
                p = torch.movedim(p, axes, list(range(1, len(axes) + 1)))
                env[op.out.id] = p.reshape(b, 1 << len(axes), -1).sum(-1)
            case ir.Const():
                env[op.out.id] = (
                    torch.tensor(op.data, dtype=torch.float64)
                    .repeat(b, 1)
                    .reshape(b, *op.out.type.shape)
                )
            case ir.UseWeight():
                w = self.weights[op.weight]
                env[op.out.id] = w.expand(b, *w.shape)
            case ir.Pointwise():
                env[op.out.id] = self.pointwise(op.fn, [get(a) for a in op.args])
            case ir.Linear():
                x = get(op.x)
                lead = x.shape[:2] if op.x.type.seq else x.shape[:1]
                y = op.gain * (x.reshape(*lead, -1) @ self.weights[op.weight].T)
                env[op.out.id] = y if op.bias is None else y + self.weights[op.bias]
            case ir.Embed():
                env[op.out.id] = self.weights[op.weight][
                    get(op.token).reshape(get(op.token).shape).long()
                ]
            case ir.Concat():
                env[op.out.id] = torch.cat([flat(a) for a in op.args], 1)
            case ir.Gather():
                env[op.out.id] = flat(op.x)[:, list(op.indices)].reshape(b, *op.out.type.shape)
            case ir.Reshape():
                env[op.out.id] = get(op.x).reshape(b, *op.out.type.shape)
            case ir.Reduce():
                x = get(op.x) if op.last_axis else flat(op.x)
                env[op.out.id] = {
                    "sum": lambda: x.sum(-1),
                    "mean": lambda: x.mean(-1),
                    "max": lambda: x.amax(-1),
                    "min": lambda: x.amin(-1),
                    "norm": lambda: x.norm(dim=-1),
                    "prod": lambda: x.prod(-1),
                }[op.fn]()
            case ir.Matmul():
                p, q = get(op.a), get(op.b)
                left = p if p.dim() == 3 else p[:, None]
                right = q if q.dim() == 3 else q[..., None]
                env[op.out.id] = (left @ right).reshape(b, *op.out.type.shape)
            case ir.Softmax():
                env[op.out.id] = torch.softmax(get(op.x), -1)
            case ir.LayerNorm():
                x = get(op.x)
                env[op.out.id] = torch.nn.functional.layer_norm(
                    x, x.shape[-1:], self.weights[op.weight], self.weights[op.bias], 1e-5
                )
            case ir.Shift():
                x = get(op.x)
                start = torch.full_like(x[:, :1], op.start)
                env[op.out.id] = torch.cat([start, x[:, :-1]], 1)
                self.lengths[op.out.id] = self.lengths[op.x.id]
            case ir.Reverse():
                x, n = get(op.x), self.lengths[op.x.id]
                t = torch.arange(x.shape[1])[None]
                index = torch.where(t < n[:, None], n[:, None] - 1 - t, t)
                env[op.out.id] = x[torch.arange(b)[:, None], index]
                self.lengths[op.out.id] = n
            case ir.Last():
                x, n = get(op.x), self.lengths[op.x.id]
                rows = []
                for k in range(op.count):
                    t = n - op.count + k
                    row = x[torch.arange(b), t.clamp(min=0)]
                    rows.append(
                        torch.where(
                            (t >= 0).reshape(b, *[1] * (row.dim() - 1)), row, torch.zeros_like(row)
                        )
                    )
                env[op.out.id] = torch.stack(rows, 1).reshape(b, *op.out.type.shape)
            case ir.Pool():
                x, n = get(op.x), self.lengths[op.x.id]
                on = (torch.arange(x.shape[1])[None] < n[:, None]).reshape(
                    b, -1, *[1] * (x.dim() - 2)
                )
                if op.fn == "max":
                    env[op.out.id] = torch.where(on, x, torch.full_like(x, -1e30)).amax(1)
                else:
                    total = torch.where(on, x, torch.zeros_like(x)).sum(1)
                    env[op.out.id] = (
                        total if op.fn == "sum" else total / n.reshape(b, *[1] * (total.dim() - 1))
                    )
            case ir.SoftmaxOver():
                env[op.out.id] = self.softmax_over(get(op.x), self.lengths[op.x.id])
                self.lengths[op.out.id] = self.lengths[op.x.id]
            case ir.WeightedSum():
                w, v = get(op.weights), get(op.values)
                env[op.out.id] = (w.reshape(*w.shape, *[1] * (v.dim() - 2)) * v).sum(1)
            case ir.Attend():
                q, k, v = get(op.query), get(op.keys), get(op.values)
                w = [self.weights[n] for n in op.weights]
                if op.score == "additive":
                    s = torch.tanh((q @ w[0].T)[:, None] + k @ w[1].T + w[2]) @ w[3]
                else:
                    key = k @ w[0].T if op.score == "bilinear" else k
                    s = (q[:, None] * key).sum(-1)
                    if op.score == "scaled":
                        s = s / math.sqrt(q.shape[-1])
                a = self.softmax_over(s, self.lengths[op.keys.id])
                env[op.out.id] = (a[..., None] * v).sum(1)
            case ir.Loop():
                self.loop(op)
            case _:
                raise AssertionError(op)
        out = getattr(op, "out", None)
        if out is not None and out.type.seq and out.id not in self.lengths:
            source = (
                next(getattr(op, f) for f in ("x", "token") if hasattr(op, f))
                if not hasattr(op, "args")
                else next(a for a in op.args if a.type.seq)
            )
            self.lengths[out.id] = self.lengths[source.id]

    def softmax_over(self, x, n):
        on = torch.arange(x.shape[1])[None] < n[:, None]
        return torch.softmax(torch.where(on, x, torch.full_like(x, -1e30)), 1) * on

    def pointwise(self, fn, a):
        x = a[0]
        if len(a) == 2:
            d = max(t.dim() for t in a)
            a = [t.reshape(*t.shape, *[1] * (d - t.dim())) for t in a]
            x = a[0]
        f = torch.nn.functional
        return {
            "neg": lambda: -x,
            "add": lambda: x + a[1],
            "sub": lambda: x - a[1],
            "mul": lambda: x * a[1],
            "div": lambda: x / a[1],
            "pow": lambda: x ** a[1],
            "minimum": lambda: torch.minimum(x, a[1]),
            "maximum": lambda: torch.maximum(x, a[1]),
            "where": lambda: torch.where(x > 0.5, a[1], a[2]),
            "sin": x.sin,
            "cos": x.cos,
            "tan": x.tan,
            "asin": lambda: x.clamp(-1, 1).asin(),
            "acos": lambda: x.clamp(-1, 1).acos(),
            "atan": x.atan,
            "exp": x.exp,
            "log": x.log,
            "sqrt": x.sqrt,
            "abs": x.abs,
            "sign": x.sign,
            "tanh": x.tanh,
            "sigmoid": x.sigmoid,
            "relu": x.relu,
            "leaky_relu": lambda: f.leaky_relu(x),
            "elu": lambda: f.elu(x),
            "silu": lambda: f.silu(x),
            "gelu": lambda: f.gelu(x),
            "softplus": lambda: f.softplus(x, threshold=1e9),
            "identity": lambda: x,
        }[fn]()

    def loop(self, op):
        n = self.lengths[op.items[0].sequence.id]
        whole = max(self.env[i.sequence.id].shape[1] for i in op.items)
        carried = [self.env[c.initial.id] for c in op.carries]
        emitted = [[] for _ in op.emits]

        def keep(on, new, old):
            return torch.where(on.reshape(self.b, *[1] * (new.dim() - 1)), new, old)

        for t in range(whole + op.extra):
            within, active = t < n, t < n + op.extra
            for item in op.items:
                x = self.env[item.sequence.id]
                now = x[:, min(t, whole - 1)]
                self.env[item.item.id] = keep(within, now, torch.zeros_like(now))
            for c, v in zip(op.carries, carried, strict=True):
                self.env[c.arg.id] = v
            if op.flag is not None:
                self.env[op.flag.id] = (~within).to(torch.float64)
            before = dict(self.state)
            self.body(op.body)
            for s, psi in self.state.items():
                if s in before:
                    self.state[s] = keep(active, psi, before[s])
            carried = [
                keep(active, self.env[c.next.id], v)
                for c, v in zip(op.carries, carried, strict=True)
            ]
            for e, out in zip(op.emits, emitted, strict=True):
                v = self.env[e.value.id]
                out.append(keep(active, v, torch.zeros_like(v)))
        for c, v in zip(op.carries, carried, strict=True):
            self.env[c.out.id] = v
        for e, out in zip(op.emits, emitted, strict=True):
            self.env[e.out.id] = torch.stack(out, 1)
            self.lengths[e.out.id] = n + op.extra
