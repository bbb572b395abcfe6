"""Fold what is constant, share what is computed twice, drop what nobody uses."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, fields, replace
from typing import Any

from qrlang.analysis.flow import is_quantum
from qrlang.ir.program import (
    Angle,
    CallExtern,
    Channel,
    Concat,
    Const,
    Diagonal,
    Dropout,
    Element,
    Evolve,
    Expect,
    Gate,
    Gather,
    If,
    Loop,
    LoopCarry,
    LoopEmit,
    LoopItem,
    Op,
    Output,
    Permutation,
    Pointwise,
    Probabilities,
    Program,
    Reshape,
    Run,
    Term,
    Unitary,
    Value,
)
from qrlang.ir.walk import defs, uses
from qrlang.passes.angles import add, scaled
from qrlang.passes.evaluate import evaluate
from qrlang.passes.sweep import sweep


@dataclass(frozen=True)
class Fold:
    name: str = "fold"
    doc: str = (
        "Computes what is constant, shares classical ops that are the same, takes angles straight "
        "from where they are computed, and drops classical ops that nothing uses."
    )

    def run(self, program: Program) -> Program:
        folder = _Folder()
        body = folder.ops(program.body, {})
        outputs = tuple(Output(o.name, folder.final(o.value)) for o in program.outputs)
        return sweep(replace(program, body=body, outputs=outputs))


_Table = dict[Hashable, Value]


class _Folder:
    def __init__(self) -> None:
        self.alias: dict[int, Value] = {}
        self.data: dict[int, tuple[float, ...]] = {}  # values known now
        self.maker: dict[int, Op] = {}
        self.elements: dict[tuple[int, int], Angle] = {}
        self.moment = 0  # goes up whenever the state of the qubits may change

    def final(self, value: Value) -> Value:
        return self.alias.get(value.id, value)

    # --- ops ---

    def ops(self, ops: tuple[Op, ...], known: _Table) -> tuple[Op, ...]:
        """`known`: ops computed before, here or around, by what they compute."""
        out: list[Op] = []
        for op in ops:
            if isinstance(op, Loop):
                out.append(self._loop(op, known))
            elif isinstance(op, If):
                out.extend(self._if(op, known))
            else:
                op = self._plain(op)
                if not self._shared(op, known):
                    out.append(op)
        return tuple(out)

    def _plain(self, op: Op) -> Op:
        """Arguments and angles in their simplest form, the result computed if it can be."""
        if isinstance(op, Unitary):
            self.moment += 1
            return Unitary(tuple(map(self._element, op.elements)))
        if isinstance(op, Evolve):
            self.moment += 1
            terms = tuple((self.angle(a), word) for a, word in op.terms)
            return replace(op, terms=terms, time=self.angle(op.time))
        if isinstance(op, Channel):
            self.moment += 1
            return replace(op, args=tuple(map(self.angle, op.args)))
        if any(v.id in self.alias for v in uses(op)):
            op = self._renamed(op)
        if is_quantum(op):
            if not isinstance(op, Probabilities) and not (isinstance(op, Expect) and not op.weak):
                self.moment += 1
            return op
        results = defs(op)
        if len(results) != 1:
            return op
        (out,) = results
        if isinstance(op, Const):
            if out.type.kind in ("real", "bit"):
                self.data[out.id] = op.data
            return op
        args = [self.data[v.id] for v in uses(op) if v.id in self.data]
        if len(args) == len(uses(op)) and args and out.type.kind == "real" and not out.type.seq:
            data = evaluate(op, args, out.type)
            if data is not None:
                self.data[out.id] = data
                return Const(out, data)
        op = self._shorter(op)
        self.maker[out.id] = op
        return op

    def _renamed(self, op: Op) -> Op:
        def change(thing: Any) -> Any:
            if isinstance(thing, Value):
                return self.final(thing)
            if isinstance(thing, tuple):
                return tuple(map(change, thing))
            return thing

        return replace(
            op, **{f.name: change(getattr(op, f.name)) for f in fields(op) if f.name != "out"}
        )

    def _shorter(self, op: Op) -> Op:
        """Through chains of ops that only move numbers; results that are an argument itself."""
        if isinstance(op, (Gather, Reshape)):
            before = self.maker.get(op.x.id)
            if isinstance(op, Gather) and isinstance(before, Gather):
                op = Gather(op.out, before.x, tuple(before.indices[i] for i in op.indices))
            elif isinstance(op, Gather) and isinstance(before, Reshape):
                op = Gather(op.out, before.x, op.indices)
            elif isinstance(op, Reshape) and isinstance(before, Gather):
                op = Gather(op.out, before.x, before.indices)
            elif isinstance(op, Reshape) and isinstance(before, Reshape):
                op = Reshape(op.out, before.x)
            if isinstance(op, Gather) and op.indices == tuple(range(op.x.type.count)):
                op = Reshape(op.out, op.x)
            if isinstance(op, Reshape) and op.out.type == op.x.type:
                self.alias[op.out.id] = op.x
        elif isinstance(op, Concat):
            if len(op.args) == 1 and op.args[0].type == op.out.type:
                self.alias[op.out.id] = op.args[0]
        elif isinstance(op, Pointwise):
            same = self._neutral(op)
            if same is not None and same.type == op.out.type:
                self.alias[op.out.id] = same
        return op

    def _neutral(self, op: Pointwise) -> Value | None:
        """x for identity(x), x + 0, x * 1, x / 1, x^1."""
        if op.fn == "identity":
            return op.args[0]
        number = {"add": 0.0, "sub": 0.0, "mul": 1.0, "div": 1.0, "pow": 1.0}.get(op.fn)
        if number is None:
            return None
        a, b = op.args
        if all(x == number for x in self.data.get(b.id, (None,))):
            return a
        if op.fn in ("add", "mul") and all(x == number for x in self.data.get(a.id, (None,))):
            return b
        return None

    def _shared(self, op: Op, known: _Table) -> bool:
        """Whether the op's result is there already; it is remembered otherwise."""
        results = defs(op)
        if len(results) != 1 or isinstance(op, (Dropout, CallExtern)):
            return False
        (out,) = results
        if out.id in self.alias:
            return True
        moment = -1
        if is_quantum(op):
            if not isinstance(op, (Expect, Probabilities)) or op.shots or getattr(op, "weak", 0):
                return False
            moment = self.moment
        key = (
            type(op),
            out.type,
            moment,
            *(getattr(op, f.name) for f in fields(op) if f.name != "out"),
        )
        if key in known:
            self.alias[out.id] = known[key]
            return True
        known[key] = out
        return False

    # --- bodies ---

    def _if(self, op: If, known: _Table) -> tuple[Op, ...]:
        condition = self.final(op.condition)
        data = self.data.get(condition.id)
        if data is not None:  # a bit that is known
            return self.ops(op.then if data[op.index] else op.orelse, known)
        self.moment += 1
        then = self.ops(op.then, dict(known))
        self.moment += 1
        orelse = self.ops(op.orelse, dict(known))
        self.moment += 1
        return (replace(op, condition=condition, then=then, orelse=orelse),)

    def _loop(self, op: Loop, known: _Table) -> Loop:
        items = tuple(LoopItem(self.final(i.sequence), i.item) for i in op.items)
        carries: list[LoopCarry] = []
        for carry in op.carries:
            initial = self.final(carry.initial)
            if carry.next.id == carry.arg.id:  # never changes
                self.alias[carry.arg.id] = self.alias[carry.out.id] = initial
            else:
                carries.append(replace(carry, initial=initial))
        self.moment += 1
        body = self.ops(op.body, dict(known))
        self.moment += 1
        return replace(
            op,
            items=items,
            carries=tuple(replace(c, next=self.final(c.next)) for c in carries),
            body=body,
            emits=tuple(LoopEmit(e.name, self.final(e.value), e.out) for e in op.emits),
        )

    # --- angles ---

    def _element(self, element: Element) -> Element:
        match element:
            case Gate():
                if not element.angles:
                    return element
                return replace(element, angles=tuple(map(self.angle, element.angles)))
            case Run():
                gates = tuple(replace(g, angles=tuple(map(self.angle, g.angles)))
                              for g in element.gates)  # fmt: skip
                return Run(element.qubit, gates)
            case Diagonal():
                return Diagonal(tuple((mask, self.angle(a)) for mask, a in element.terms))
            case Permutation():
                return element

    def angle(self, angle: Angle) -> Angle:
        if not angle.terms:
            return angle
        total = Angle(angle.constant)
        for term in angle.terms:
            total = add(total, scaled(self._number(term.value, term.index), term.coefficient))
        return total

    def _number(self, value: Value, index: int) -> Angle:
        """One number of a value, as an affine sum of what it is made of."""
        value = self.final(value)
        key = (value.id, index)
        if key not in self.elements:
            self.elements[key] = self._made(value, index)
        return self.elements[key]

    def _made(self, value: Value, index: int) -> Angle:
        if value.id in self.data:
            return Angle(self.data[value.id][index])
        op = self.maker.get(value.id)
        match op:
            case Gather():
                return self._number(op.x, op.indices[index])
            case Reshape():
                return self._number(op.x, index)
            case Concat():
                for arg in op.args:
                    if index < arg.type.count:
                        return self._number(arg, index)
                    index -= arg.type.count
            case Pointwise(fn="neg"):
                return scaled(self._number(op.args[0], index), -1.0)
            case Pointwise(fn="identity"):
                return self._number(op.args[0], index)
            case Pointwise(fn="add" | "sub" | "mul" | "div"):
                affine = self._affine(op, index)
                if affine is not None:
                    return affine
        return Angle(0.0, (Term(1.0, value, index),))

    def _affine(self, op: Pointwise, index: int) -> Angle | None:
        """A sum or product of which one side is known."""
        a, b = (self._number(v, index if v.type.shape else 0) for v in op.args)
        if op.fn in ("add", "sub") and not (a.terms and b.terms):
            return add(a, b if op.fn == "add" else scaled(b, -1.0))
        if op.fn == "mul" and not b.terms:
            return scaled(a, b.constant)
        if op.fn == "mul" and not a.terms:
            return scaled(b, a.constant)
        if op.fn == "div" and not b.terms and b.constant:
            return scaled(a, 1 / b.constant)
        return None
