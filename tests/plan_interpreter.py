"""What a plan means, in NumPy: forward, and backward as the mirror, for a whole batch.

A printer is right if it agrees with this. Classical values are kept for every step, since
that is plain to read; states are not, they are undone as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from plan_functions import FUNCTIONS, adjoint

from qrlang.engine import nodes
from qrlang.engine.bodies import body_slots, walk_nodes
from qrlang.engine.nodes import Circuit, Layer, Loop, Node, Plan

Array: TypeAlias = Any  # of NumPy, whose own types are at odds with its operators
Weights: TypeAlias = Sequence[Array]


@dataclass(slots=True)
class Step:
    """What one step of a loop had, for walking back over it."""

    on: Array  # which sequences were on their way
    within: Array  # which of them before their end
    slots: dict[int, Array]
    inner: dict[int, list[Step]]  # of the loops in the body, by their place there


@dataclass(slots=True)
class Saved:
    """What a forward call leaves for its backward one."""

    run: Run
    inner: dict[int, list[Step]]
    states: dict[int, Array]  # at the end


class Interpreter:
    """Called like a kernel of the engine. States always begin within the plan."""

    def __init__(self, plan: Plan, dtype: str = "float64") -> None:
        if plan.given or plan.kept:
            raise ValueError("a plan that goes on from a state, or stops for one to go on from")
        self.plan = plan
        self.dtype = np.dtype(dtype)
        self.random = any(isinstance(n, nodes.Dropout) for n in walk_nodes(plan.body))

    def forward(
        self,
        inputs: Sequence[Array],
        weights: Weights,
        lengths: Sequence[Array | None] | None = None,
        seed: int | None = None,
    ) -> tuple[list[Array], Saved]:
        """Inputs [B, T, …] or [B, …] in the plan's order."""
        if self.random and seed is None:
            raise ValueError("the model drops out by lot: it needs a seed")
        run = Run(self.plan, self.dtype, inputs, weights, lengths, seed or 0)
        inner = run.forward(self.plan.body, run.everyone, -1)
        outputs = [run.sequences[o.slot] if o.seq else run.slots[o.slot] for o in self.plan.outputs]
        return [y.copy() for y in outputs], Saved(run, inner, dict(run.states))

    def backward(
        self, saved: Saved, grads: Sequence[Array | None], inputs: bool = False
    ) -> tuple[list[Array], list[Array | None]]:
        """Gradients of the weights, and of the inputs that are real numbers if asked for."""
        run = saved.run
        run.begin_walk(saved.states)
        for out, given in zip(self.plan.outputs, grads, strict=True):
            if given is None:
                continue
            d = np.asarray(given, self.dtype)
            if out.seq:
                run.d_sequence(out.slot)[...] += d.reshape(run.sequences[out.slot].shape)
            else:
                run.add(out.slot, d.reshape(run.slots[out.slot].shape))
        run.backward(self.plan.body, run.everyone, saved.inner, -1)
        for i, slot in self.plan.loads:
            run.d_inputs[i] += run.d(slot)[:, None]
        back: list[Array | None] = [None] * len(self.plan.inputs)
        if inputs:
            for i, spec in enumerate(self.plan.inputs):
                if not spec.token:
                    back[i] = run.d_inputs[i].reshape(run.shapes[i])
        return run.d_weights, back


class Run:
    """One call: slots are [B, rows], states [B, 2^n], sequences [B, T, rows]."""

    def __init__(
        self, plan: Plan, dtype: Any, inputs: Sequence[Array], weights: Weights,
        lengths: Sequence[Array | None] | None, seed: int,
    ) -> None:  # fmt: skip
        self.plan, self.dtype, self.seed = plan, dtype, seed
        self.batch = batch = len(inputs[0]) if inputs else 1
        self.everyone = np.ones(batch, bool)
        self.weights = [np.asarray(w, dtype) for w in weights]
        self.shapes = [np.shape(x) for x in inputs]
        self.inputs: list[Array] = []
        self.lengths: dict[int, Array] = {}
        self.times: dict[int, int] = {}
        for i, (spec, given) in enumerate(zip(plan.inputs, inputs, strict=True)):
            x = np.asarray(given).astype(dtype)
            self.inputs.append(x.reshape(batch, x.shape[1] if spec.seq else 1, spec.rows))
            if spec.seq:
                self.times[i] = x.shape[1]
                own = None if lengths is None else lengths[i]
                full = np.full(batch, x.shape[1])
                self.lengths[i] = full if own is None else np.asarray(own)
        self.slots: dict[int, Array] = {s: self.inputs[i][:, 0] for i, s in plan.loads}
        self.sequences: dict[int, Array] = {}
        self.states: dict[int, Array] = {}

    # --- forward

    def forward(self, body: tuple[Node, ...], on: Array, time: int) -> dict[int, list[Step]]:
        inner = {}
        for place, node in enumerate(body):
            match node:
                case Loop():
                    inner[place] = self._loop(node, on)
                case Circuit():
                    self._circuit(node, on)
                    if node.masks:
                        self.slots[node.out] = self._read(node)
                case _:
                    with np.errstate(all="ignore"):  # nonsense, where nobody is on his way
                        value = np.where(on[:, None], self._value(node, time), 0)
                    self.slots[node.out] = value  # type: ignore[attr-defined]
        return inner

    def _value(self, node: Node, time: int) -> Array:
        slots = self.slots
        match node:
            case nodes.Rows():
                out = np.empty((self.batch, len(node.rows)), self.dtype)
                for i, r in enumerate(node.rows):
                    out[:, i] = r.constant + sum(c * slots[s][:, k] for c, s, k in r.terms)
                return out
            case nodes.Copy():
                out = np.zeros((self.batch, self.plan.slots[node.out]), self.dtype)
                for to, source, first, count in node.parts:
                    out[:, to : to + count] = slots[source][:, first : first + count]
                return out
            case nodes.Map():
                return FUNCTIONS[node.fn](*(slots[a] for a in node.args)).astype(self.dtype)
            case nodes.Linear():
                w = self.weights[node.weight]
                out = node.gain * (slots[node.x] @ w.reshape(len(w), -1).T)
                return out + self.weights[node.bias] if node.bias >= 0 else out
            case nodes.Matmul():
                a, b = self._factors(node)
                return (a @ b).reshape(self.batch, -1)
            case nodes.WeightRows():
                return np.tile(self.weights[node.weight].reshape(-1), (self.batch, 1))
            case nodes.Embed():
                return self.weights[node.weight][slots[node.x][:, 0].astype(int)]
            case nodes.Dropout():
                return slots[node.x] * self._kept(node, time)
        raise AssertionError(node)

    def _factors(self, node: nodes.Matmul) -> tuple[Array, Array]:
        return (
            self.slots[node.a].reshape(self.batch, node.m, node.k),
            self.slots[node.b].reshape(self.batch, node.k, node.n),
        )

    def _kept(self, node: nodes.Dropout, time: int) -> Array:
        """1/(1-p) where the lot falls well: it depends on nothing but where and when."""
        start = _mixed(self.seed & _WORD ^ time * 0x27D4EB2F & _WORD)
        start = _mixed((start + (node.number + 1) * 0x165667B1 & _WORD) ^ self.seed >> 32)
        lanes = _mixed(np.arange(self.batch, dtype=np.uint64) ^ start)
        rows = np.arange(self.plan.slots[node.x], dtype=np.uint64) * 0x9E3779B1
        lot = _mixed((lanes[:, None] + rows) & _WORD) >> 8
        share = 1 / (1 - node.p) if node.p < 1 else 0.0
        return np.where(lot >= min(int(node.p * (1 << 24)), 1 << 24), share, 0.0)

    def _ends(self, node: Loop, on: Array) -> tuple[Array, Array]:
        """How many moments each sequence has, and how many steps it takes."""
        lengths = np.where(on, self.lengths[node.clock] + node.grown, 0)
        return lengths, np.where(on, lengths + node.extra, 0)

    def _loop(self, node: Loop, on: Array) -> list[Step]:
        lengths, ends = self._ends(node, on)
        carried = [self.slots[c.initial] for c in node.carries]
        for _, q in node.emits:
            rows, clock, grown = self.plan.sequences[q]
            shape = (self.batch, self.times[clock] + grown, rows)
            self.sequences[q] = np.zeros(shape, self.dtype)
        slots = body_slots(node)
        steps = []
        for t in range(int(ends.max(initial=0))):
            here, within = t < ends, t < lengths
            for view, slot in node.items:
                self.slots[slot] = self._item(view, t, lengths, within)
            for c, value in zip(node.carries, carried, strict=True):
                self.slots[c.arg] = value
            if node.flag >= 0:
                self.slots[node.flag] = (~within).astype(self.dtype)[:, None]
            inner = self.forward(node.body, here, t)
            carried = [
                np.where(here[:, None], self.slots[c.next], value)
                for c, value in zip(node.carries, carried, strict=True)
            ]
            for slot, q in node.emits:
                self.sequences[q][here, t] = self.slots[slot][here]
            steps.append(Step(here, within, {s: self.slots[s] for s in slots}, inner))
        for c, value in zip(node.carries, carried, strict=True):
            self.slots[c.out] = value
        return steps

    def _source(self, view: nodes.View) -> Array:
        return self.inputs[view.source] if view.source >= 0 else self.sequences[-1 - view.source]

    def _moments(self, view: nodes.View, t: int, lengths: Array) -> Array:
        """Which moment of its source each sequence sees."""
        moment = np.full(self.batch, t - view.shift)
        moment = lengths - 1 - moment if view.reverse else moment
        return np.clip(moment, 0, np.maximum(lengths - 1, 0))

    def _item(self, view: nodes.View, t: int, lengths: Array, within: Array) -> Array:
        item = self._source(view)[np.arange(self.batch), self._moments(view, t, lengths)]
        if t < view.shift:
            item = np.full_like(item, view.start)
        return np.where(within[:, None], item, 0.0).astype(self.dtype)

    # --- states

    def _circuit(self, node: Circuit, on: Array) -> None:
        n = self.plan.spaces[node.space]
        kind = np.result_type(self.dtype, np.complex64)
        if node.reset >= 0:
            psi = np.zeros((self.batch, 1 << n), kind)
            psi[:, node.reset] = 1
        else:
            psi = self.states[node.space]
        before = self.states.get(node.space, psi)
        for layer in node.layers:
            psi = _applied(layer, n, psi, self._angles(node))
        self.states[node.space] = np.where(on[:, None], psi, before)

    def _angles(self, node: Circuit) -> Array:
        none = np.zeros((self.batch, 0), self.dtype)  # a slot without rows is never written
        return self.slots.get(node.angles, none)

    def _read(self, node: Circuit) -> Array:
        signs = _signs(node.masks, self.plan.spaces[node.space])
        p = np.abs(self.states[node.space]) ** 2
        return (p @ signs.T).astype(self.dtype)

    # --- backward

    def begin_walk(self, states: dict[int, Array]) -> None:
        self.states = dict(states)
        self.costates: dict[int, Array] = {}
        self.d_slots: dict[int, Array] = {}
        self.d_sequences: dict[int, Array] = {}
        self.d_weights = [np.zeros_like(w) for w in self.weights]
        self.d_inputs = [np.zeros_like(x) for x in self.inputs]

    def d(self, slot: int) -> Array:
        if slot not in self.d_slots:
            self.d_slots[slot] = np.zeros((self.batch, self.plan.slots[slot]), self.dtype)
        return self.d_slots[slot]

    def add(self, slot: int, d: Array) -> None:
        """Where the slot has one row and `d` more, it went with all of them."""
        mine = self.d(slot)
        mine += d if d.shape == mine.shape else d.sum(1, keepdims=True)

    def d_sequence(self, q: int) -> Array:
        if q not in self.d_sequences:
            self.d_sequences[q] = np.zeros_like(self.sequences[q])
        return self.d_sequences[q]

    def backward(
        self, body: tuple[Node, ...], on: Array, inner: dict[int, list[Step]], time: int
    ) -> None:
        for place, node in reversed(list(enumerate(body))):
            match node:
                case Loop():
                    self._loop_back(node, inner[place])
                case Circuit():
                    self._circuit_back(node, on)
                case _:
                    self._value_back(node, on, time)

    def _value_back(self, node: Node, on: Array, time: int) -> None:
        slots, d = self.slots, self.d(node.out)  # type: ignore[attr-defined]
        match node:
            case nodes.Rows():
                for i, r in enumerate(node.rows):
                    for c, s, k in r.terms:
                        self.d(s)[:, k] += c * d[:, i]
            case nodes.Copy():
                for to, source, first, count in node.parts:
                    self.d(source)[:, first : first + count] += d[:, to : to + count]
            case nodes.Map():
                args = [slots[a] for a in node.args]
                with np.errstate(all="ignore"):
                    parts = adjoint(node.fn, args, slots[node.out], d)
                for a, part in zip(node.args, parts, strict=True):
                    if part is not None:
                        self.add(a, np.where(on[:, None], part, 0))
            case nodes.Linear():
                w = self.weights[node.weight]
                flat = w.reshape(len(w), -1)
                self.add(node.x, node.gain * (d @ flat))
                self.d_weights[node.weight] += (node.gain * d.T @ slots[node.x]).reshape(w.shape)
                if node.bias >= 0:
                    self.d_weights[node.bias] += d.sum(0)
            case nodes.Matmul():
                a, b = self._factors(node)
                g = d.reshape(self.batch, node.m, node.n)
                self.add(node.a, (g @ b.transpose(0, 2, 1)).reshape(self.batch, -1))
                self.add(node.b, (a.transpose(0, 2, 1) @ g).reshape(self.batch, -1))
            case nodes.WeightRows():
                w = self.d_weights[node.weight]
                w += d.sum(0).reshape(w.shape)
            case nodes.Embed():
                np.add.at(self.d_weights[node.weight], slots[node.x][:, 0].astype(int), d)
            case nodes.Dropout():
                self.add(node.x, d * self._kept(node, time))
            case _:
                raise AssertionError(node)

    def _loop_back(self, node: Loop, steps: list[Step]) -> None:
        own = body_slots(node)
        begun = {c.space for c in node.body if isinstance(c, Circuit) and c.reset >= 0}
        for t, step in reversed(list(enumerate(steps))):
            on = step.on[:, None]
            self.slots.update(step.slots)
            for slot in own:
                self.d(slot)[...] = 0
            for c in node.carries:
                d = self.d(c.out)
                self.d(c.next)[...] += np.where(on, d, 0)
                d[...] = np.where(on, 0, d)
            for slot, q in node.emits:
                self.d(slot)[...] += np.where(on, self.d_sequence(q)[:, t], 0)
            for inner in node.body:
                for _, q in inner.emits if isinstance(inner, Loop) else ():
                    self.d_sequence(q)[...] = 0
            # What a step begins anew has no state after it to go back from.
            self._replay(node.body, begun, step)
            for s in begun:
                self.costates.pop(s, None)
            self.backward(node.body, step.on, step.inner, t)
            for c in node.carries:
                self.d(c.out)[...] += np.where(on, self.d(c.arg), 0)
            for view, slot in node.items:
                self._item_back(node, view, slot, t, step)
        for c in node.carries:
            self.add(c.initial, self.d(c.out))

    def _replay(self, body: tuple[Node, ...], spaces: set[int], step: Step) -> None:
        for place, node in enumerate(body):
            if isinstance(node, Circuit) and node.space in spaces:
                self._circuit(node, step.on)
            elif isinstance(node, Loop) and spaces:
                for inner in step.inner[place]:
                    self.slots.update(inner.slots)
                    self._replay(node.body, spaces, inner)

    def _item_back(self, node: Loop, view: nodes.View, slot: int, t: int, step: Step) -> None:
        if t < view.shift or (view.source >= 0 and self.plan.inputs[view.source].token):
            return
        lengths = self.lengths[node.clock] + node.grown
        to = self.d_inputs[view.source] if view.source >= 0 else self.d_sequence(-1 - view.source)
        at = self._moments(view, t, lengths)
        to[np.arange(self.batch), at] += np.where(step.within[:, None], self.d(slot), 0)

    def _circuit_back(self, node: Circuit, on: Array) -> None:
        """The costate λ is half of a gradient: dL = 2 Re⟨λ|dψ⟩."""
        n, here = self.plan.spaces[node.space], on[:, None]
        psi = self.states[node.space]
        before = self.costates.get(node.space)
        lam = np.zeros_like(psi) if before is None else before
        if node.masks:
            d = np.where(here, self.d(node.out), 0)
            lam = lam + (d @ _signs(node.masks, n)) * psi
        after, back = psi, lam
        angles, d_angles = self._angles(node), self.d(node.angles)
        for layer in reversed(node.layers):
            after, back, found = _undone(layer, n, after, back, angles)
            for row, g in found:
                d_angles[:, row] += np.where(on, g, 0)
        if node.reset >= 0:
            back = np.zeros_like(back)
        self.states[node.space] = np.where(here, after, psi)
        self.costates[node.space] = np.where(here, back, lam)


# --- layers


@lru_cache(maxsize=512)
def _destinations(layer: Layer, n: int) -> Array:
    """Where the map sends each index."""
    table = np.array([layer.map.shift])
    for column in layer.map.cols:
        table = np.concatenate([table, table ^ column])
    assert len(table) == 1 << n
    return table


@lru_cache(maxsize=512)
def _signs(masks: tuple[int, ...], n: int) -> Array:
    """[mask, index]: the sign of the parity."""
    bits = np.bitwise_count(np.array(masks, np.int64)[:, None] & np.arange(1 << n))
    return 1.0 - 2.0 * (bits & 1)


def _phase(layer: Layer, n: int, angles: Array) -> Array:
    masks, rows = tuple(m for m, _ in layer.terms), [r for _, r in layer.terms]
    turn = 0.5 * (angles[:, rows] @ _signs(masks, n))
    return np.cos(turn) - 1j * np.sin(turn)


def _rotated(psi: Array, bit: int, angle: Array) -> Array:
    """exp(-i angle/2 Y) on one bit."""
    pairs = psi.reshape(len(psi), -1, 2, 1 << bit)
    c, s = np.cos(angle / 2)[:, None, None], np.sin(angle / 2)[:, None, None]
    a, b = pairs[:, :, 0], pairs[:, :, 1]
    return np.stack([c * a - s * b, s * a + c * b], 2).reshape(psi.shape)


def _applied(layer: Layer, n: int, psi: Array, angles: Array) -> Array:
    moved = np.empty_like(psi)
    moved[:, _destinations(layer, n)] = psi
    if layer.terms:
        moved = (moved * _phase(layer, n, angles)).astype(psi.dtype)
    for bit, row in layer.rotations:
        moved = _rotated(moved, bit, angles[:, row])
    return moved


def _undone(
    layer: Layer, n: int, psi: Array, lam: Array, angles: Array
) -> tuple[Array, Array, list[tuple[int, Array]]]:
    """State and costate before a layer, and the gradients of its angles by their rows."""
    found = []
    for bit, row in layer.rotations:
        p, g = (x.reshape(len(x), -1, 2, 1 << bit) for x in (psi, lam))
        overlap = g[:, :, 1].conj() * p[:, :, 0] - g[:, :, 0].conj() * p[:, :, 1]
        found.append((row, overlap.real.sum((1, 2))))  # Im⟨λ|Y|ψ⟩
        psi, lam = _rotated(psi, bit, -angles[:, row]), _rotated(lam, bit, -angles[:, row])
    if layer.terms:
        masks = tuple(m for m, _ in layer.terms)
        each = (lam.conj() * psi).imag @ _signs(masks, n).T
        found += [(row, each[:, i]) for i, (_, row) in enumerate(layer.terms)]
        phase = _phase(layer, n, angles).conj()
        psi, lam = (psi * phase).astype(psi.dtype), (lam * phase).astype(lam.dtype)
    to = _destinations(layer, n)
    return psi[:, to], lam[:, to], found


# --- small things

_WORD = 0xFFFFFFFF


def _mixed(x: Any) -> Any:
    """A 32-bit number that every bit of x has a say in."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ x >> shift) * factor & _WORD
    return x ^ x >> 16
