"""What lowering keeps while it walks: slots, sequences, and the body it writes into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from qrlang.engine import nodes
from qrlang.engine.lower import Sum, Unsupported
from qrlang.ir import program as ir

MAX_ROWS = 1 << 16


class Lowering:
    def __init__(self, program: ir.Program) -> None:
        self.program = program
        self.weights = {w.name: i for i, w in enumerate(program.weights)}
        self.env: dict[int, int] = {}  # value -> slot
        self.sequences: dict[int, nodes.View] = {}  # value -> how to walk along it
        self.clocks: dict[int, tuple[int, int, int]] = {}  # source -> rows, clock, grown
        self.rows: list[int] = []
        self.depth_of: list[int] = []
        self.sequence_list: list[tuple[int, int, int]] = []
        self.bodies: list[list[nodes.Node]] = [[]]
        self.loops = 0

    # --- slots

    def slot(self, rows: int) -> int:
        if rows > MAX_ROWS:
            raise Unsupported(f"a value of more than {MAX_ROWS} numbers")
        self.rows.append(rows)
        self.depth_of.append(len(self.bodies))
        return len(self.rows) - 1

    def sequence(self, rows: int, clock: int, grown: int) -> int:
        self.sequence_list.append((rows, clock, grown))
        number = len(self.sequence_list) - 1
        self.clocks[-1 - number] = (rows, clock, grown)
        return number

    def loop_id(self) -> int:
        self.loops += 1
        return self.loops - 1

    # --- bodies

    def add(self, node: nodes.Node) -> None:
        self.bodies[-1].append(node)

    def enter(self) -> None:
        self.bodies.append([])

    def leave(self) -> tuple[nodes.Node, ...]:
        return tuple(self.bodies.pop())

    def mark(self) -> tuple[Any, ...]:
        self.enter()
        return (
            len(self.rows), dict(self.env), dict(self.sequences), dict(self.clocks),
            len(self.sequence_list), self.loops,
        )  # fmt: skip

    def rewind(self, mark: tuple[Any, ...]) -> None:
        self.bodies.pop()
        rows, self.env, self.sequences, self.clocks, sequences, self.loops = mark
        del self.rows[rows:]
        del self.depth_of[rows:]
        del self.sequence_list[sequences:]

    # --- small pieces of classical code

    def constants(self, data: Sequence[float]) -> int:
        out = self.slot(len(data))
        self.add(nodes.Rows(out, tuple(nodes.Row(x) for x in data)))
        return out

    def sums(self, sums: Sequence[Sum]) -> int:
        out = self.slot(len(sums))
        if not sums:
            return out
        rows = (
            nodes.Row(s.constant, tuple((c, slot, row) for (slot, row), c in s.terms)) for s in sums
        )
        self.add(nodes.Rows(out, tuple(rows)))
        return out

    def pick(self, slot: int, rows: Sequence[int]) -> int:
        """Some rows of a slot, as a slot."""
        out = self.slot(len(rows))
        if len(rows) > 1 and rows == list(range(rows[0], rows[0] + len(rows))):
            self.add(nodes.Copy(out, ((0, slot, rows[0], len(rows)),)))
        else:
            self.add(nodes.Rows(out, tuple(nodes.Row(0.0, ((1.0, slot, r),)) for r in rows)))
        return out

    def map(self, fn: str, *args: int) -> int:
        out = self.slot(max(self.rows[a] for a in args))
        self.add(nodes.Map(out, fn, args))
        return out

    def angle(self, angle: object) -> Sum:
        assert isinstance(angle, ir.Angle)
        total = Sum(angle.constant)
        for t in angle.terms:
            total = total + Sum(0.0, (((self.env[t.value.id], t.index), t.coefficient),))
        return total

    # --- loops over sequences, for what works on whole sequences

    def over(
        self,
        views: Sequence[nodes.View],
        initial: Sequence[int],
        step: Callable[[list[int], list[int]], tuple[list[int], list[int]]],
    ) -> tuple[list[int], list[nodes.View]]:
        """A loop along `views`; `step(items, carried)` gives (next carried, emitted)."""
        _, clock, grown = self.clocks[views[0].source]
        outs = [self.slot(self.rows[i]) for i in initial]
        self.enter()
        items = [self.slot(self.clocks[v.source][0]) for v in views]
        args = [self.slot(self.rows[i]) for i in initial]
        nexts, emitted = step(items, args)
        emits = [(e, self.sequence(self.rows[e], clock, grown)) for e in emitted]
        body = self.leave()
        carries = tuple(nodes.Carry(*four) for four in zip(initial, args, nexts, outs, strict=True))
        self.add(
            nodes.Loop(
                self.loop_id(), clock, grown, tuple(zip(views, items, strict=True)), carries,
                tuple(emits), body,
            )
        )  # fmt: skip
        return outs, [nodes.View(-1 - s) for _, s in emits]

    def materialise(self, view: nodes.View) -> nodes.View:
        return self.over([view], [], lambda items, _: ([], items))[1][0]

    # --- the end

    def finish(
        self,
        name: str,
        inputs: tuple[nodes.Input, ...],
        loads: tuple[tuple[int, int], ...],
        outputs: tuple[nodes.PlannedOutput, ...],
        spaces: tuple[int, ...],
        local: tuple[bool, ...],
        kept: tuple[nodes.Kept, ...] = (),
    ) -> nodes.Plan:
        """`spaces`: the qubits of each; `local`: whether it is begun anew inside a loop."""
        # Slots of the outermost body first: they are what is kept between forward and backward.
        order = sorted(range(len(self.rows)), key=lambda s: self.depth_of[s] > 1)
        new = {old: i for i, old in enumerate(order)}
        body = tuple(_renumber(node, new) for node in self.bodies[0])
        return nodes.Plan(
            name, inputs, tuple((i, new[s]) for i, s in loads),
            tuple(nodes.PlannedWeight(w.name, w.shape) for w in self.program.weights),
            tuple(self.rows[s] for s in order),
            sum(d == 1 for d in self.depth_of),
            tuple(self.sequence_list), spaces, local, body,
            tuple(o if o.seq else nodes.PlannedOutput(o.name, new[o.slot], o.rows, False)
                  for o in outputs),
            kept=tuple(replace(k, angles=new[k.angles]) for k in kept),
        )  # fmt: skip


def _renumber(node: nodes.Node, new: dict[int, int]) -> nodes.Node:
    match node:
        case nodes.Rows():
            return nodes.Rows(
                new[node.out],
                tuple(
                    nodes.Row(r.constant, tuple((c, new[s], i) for c, s, i in r.terms))
                    for r in node.rows
                ),
            )
        case nodes.Copy():
            return nodes.Copy(new[node.out], tuple((t, new[s], f, c) for t, s, f, c in node.parts))
        case nodes.Map():
            return nodes.Map(new[node.out], node.fn, tuple(new[a] for a in node.args))
        case nodes.Linear():
            return nodes.Linear(new[node.out], new[node.x], node.weight, node.bias, node.gain)
        case nodes.Matmul():
            return nodes.Matmul(new[node.out], new[node.a], new[node.b], node.m, node.k, node.n)
        case nodes.WeightRows():
            return nodes.WeightRows(new[node.out], node.weight)
        case nodes.Embed():
            return nodes.Embed(new[node.out], new[node.x], node.weight, node.width)
        case nodes.Dropout():
            return nodes.Dropout(new[node.out], new[node.x], node.p, node.number)
        case nodes.Circuit():
            out = new[node.out] if node.out >= 0 else -1
            return nodes.Circuit(
                node.space, node.reset, new[node.angles], node.layers, node.masks, out,
                node.renormalise, node.name,
            )  # fmt: skip
        case nodes.Loop():
            return nodes.Loop(
                node.id, node.clock, node.grown,
                tuple((v, new[s]) for v, s in node.items),
                tuple(nodes.Carry(new[c.initial], new[c.arg], new[c.next], new[c.out])
                      for c in node.carries),
                tuple((new[s], q) for s, q in node.emits),
                tuple(_renumber(n, new) for n in node.body),
                node.extra, new[node.flag] if node.flag >= 0 else -1,
            )  # fmt: skip
    raise AssertionError(node)
