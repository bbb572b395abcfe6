"""A plan in NumPy, one sequence at a time, forward only: what a printer has to do."""

from __future__ import annotations

import numpy as np

from qrlang.engine.gf2 import parity

FUNCTIONS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "tanh": np.tanh,
    "exp": np.exp, "relu": lambda x: np.maximum(x, 0), "maximum": np.maximum, "neg": np.negative,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "sin": np.sin, "cos": np.cos, "sqrt": np.sqrt,
    "atan": np.arctan,
}  # fmt: skip


class PlanRun:
    def __init__(self, plan, weights):
        self.plan, self.weights = plan, weights

    def run(self, inputs):
        """Inputs of one sequence; its outputs."""
        self.inputs = [np.asarray(x, float) for x in inputs]
        self.slots = [np.zeros(rows) for rows in self.plan.slots]
        self.emitted = [[] for _ in self.plan.sequences]
        self.states = [None] * len(self.plan.spaces)
        for i, slot in self.plan.loads:
            self.slots[slot] = self.inputs[i].reshape(-1)
        self.body(self.plan.body)
        return [
            np.array(self.emitted[o.slot]) if o.seq else self.slots[o.slot]
            for o in self.plan.outputs
        ]

    def body(self, body):
        for node in body:
            getattr(self, type(node).__name__.lower())(node)

    def row(self, r):
        return r.constant + sum(c * self.slots[s][k] for c, s, k in r.terms)

    def rows(self, node):
        self.slots[node.out] = np.array([self.row(r) for r in node.rows])

    def copy(self, node):
        out = np.zeros(self.plan.slots[node.out])
        for to, source, first, count in node.parts:
            out[to : to + count] = self.slots[source][first : first + count]
        self.slots[node.out] = out

    def map(self, node):
        self.slots[node.out] = FUNCTIONS[node.fn](*(self.slots[a] for a in node.args))

    def linear(self, node):
        out = node.gain * (self.weights[node.weight] @ self.slots[node.x])
        self.slots[node.out] = out + (self.weights[node.bias] if node.bias >= 0 else 0)

    def weightrows(self, node):
        self.slots[node.out] = self.weights[node.weight].reshape(-1)

    def embed(self, node):
        self.slots[node.out] = self.weights[node.weight][int(self.slots[node.x][0])]

    def matmul(self, node):
        a = self.slots[node.a].reshape(node.m, node.k)
        self.slots[node.out] = (a @ self.slots[node.b].reshape(node.k, node.n)).reshape(-1)

    def circuit(self, node):
        n = self.plan.spaces[node.space]
        index = np.arange(1 << n)
        if node.reset >= 0:
            self.states[node.space] = (index == node.reset).astype(complex)
        psi = self.states[node.space]
        angles = self.slots[node.angles]
        for layer in node.layers:
            moved = np.empty_like(psi)
            moved[[layer.map(int(x)) for x in index]] = psi
            for mask, row in layer.terms:
                sign = np.array([1 - 2 * parity(int(x) & mask) for x in index])
                moved = moved * np.exp(-0.5j * angles[row] * sign)
            for bit, row in layer.rotations:
                c, s = np.cos(angles[row] / 2), np.sin(angles[row] / 2)
                other = moved[index ^ (1 << bit)]
                moved = c * moved + np.where(index >> bit & 1, s, -s) * other
            psi = moved
        self.states[node.space] = psi
        if node.masks:
            p = np.abs(psi) ** 2
            self.slots[node.out] = np.array(
                [sum(p[x] * (1 - 2 * parity(x & m)) for x in range(1 << n)) for m in node.masks]
            )

    def loop(self, node):
        steps = len(self.inputs[node.clock]) + node.grown
        carried = [self.slots[c.initial] for c in node.carries]
        for t in range(steps + node.extra):
            for view, slot in node.items:
                self.slots[slot] = self.item(view, t, steps, self.plan.slots[slot])
            for c, value in zip(node.carries, carried, strict=True):
                self.slots[c.arg] = value
            if node.flag >= 0:
                self.slots[node.flag] = np.array([float(t >= steps)])
            self.body(node.body)
            carried = [self.slots[c.next] for c in node.carries]
            for slot, sequence in node.emits:
                if t == 0:
                    self.emitted[sequence] = []
                self.emitted[sequence].append(self.slots[slot])
        for c, value in zip(node.carries, carried, strict=True):
            self.slots[c.out] = value

    def item(self, view, t, steps, rows):
        if t >= steps:
            return np.zeros(rows)
        moment = t - view.shift
        if moment < 0:
            return np.full(rows, view.start)
        if view.reverse:
            moment = steps - 1 - moment
        source = self.inputs[view.source] if view.source >= 0 else self.emitted[-1 - view.source]
        return np.asarray(source[moment]).reshape(-1)
