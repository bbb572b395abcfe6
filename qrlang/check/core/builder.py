"""Writing the IR: ops in blocks, one op for one meaning, gates gathered into segments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from qrlang.check.core.blocks import Block, LoopDraft
from qrlang.check.core.values import Freeing, Tensor
from qrlang.ir import program as ir
from qrlang.ir.types import Type, real
from qrlang.source import Span


class Builder:
    def __init__(self) -> None:
        self.blocks = [Block()]
        self.spans: dict[int, Span] = {}
        self.readouts: set[int] = set()  # values made of readouts alone
        self.span: Span | None = None  # of the expression at work
        self._next = 0

    @property
    def block(self) -> Block:
        return self.blocks[-1]

    def value(self, type: Type, name: str = "", span: Span | None = None) -> ir.Value:
        value = ir.Value(self._next, type, name)
        self._next += 1
        span = span or self.span
        if span is not None:
            self.spans[value.id] = span
        return value

    def like(self, x: ir.Value, out: ir.Value) -> None:
        """`out` is made of readouts alone if `x` is."""
        if x.id in self.readouts:
            self.readouts.add(out.id)

    def classical(self, op: ir.Op) -> None:
        # Not a flush: what a gate's angle needs may be worked out before the whole segment.
        self.block.ops.append(op)

    def quantum(self, op: ir.Op | LoopDraft | Freeing) -> None:
        self.block.flush()
        self.block.ops.append(op)

    def gate(self, gate: ir.Element) -> None:
        self.block.gates.append(gate)

    @contextmanager
    def nested(self) -> Iterator[Block]:
        """What is written meanwhile goes into a block of its own, for an op that holds one."""
        self.block.flush()
        block = Block()
        self.blocks.append(block)
        try:
            yield block
        finally:
            block.flush()
            self.blocks.pop()

    def _once(self, key: object) -> ir.Value | None:
        for block in reversed(self.blocks):
            found = block.memo.get(key)
            if found is not None:
                return found
        return None

    def _keep(self, key: object, value: ir.Value) -> ir.Value:
        self.block.memo[key] = value
        return value

    # --- pure ops: asked twice, written once ---

    def const(
        self, data: tuple[float, ...], shape: tuple[int, ...] = (), kind: str = "real"
    ) -> ir.Value:
        key = ("const", data, shape, kind)
        found = self._once(key)
        if found is None:
            found = self._keep(key, self.value(Type(kind, shape)))
            self.classical(ir.Const(found, data))
        return found

    def weight(self, weight: ir.Weight) -> ir.Value:
        key = ("weight", weight.name)
        found = self._once(key)
        if found is None:
            if weight.unitary_qubits:
                type = Type("unitary", (), weight.unitary_qubits)
            else:
                type = real(*weight.shape)
            found = self._keep(key, self.value(type, weight.name.rpartition(".")[2]))
            self.classical(ir.UseWeight(found, weight.name))
        return found

    def pointwise(self, fn: str, *args: ir.Value) -> ir.Value:
        key = (fn, *[a.id for a in args])
        found = self._once(key)
        if found is None:
            shape = next((a.type.shape for a in args if a.type.shape), ())
            bits = fn == "where" and _bits(args)  # a choice between bits is a bit
            found = self._keep(key, self.value(Type("bit" if bits else "real", shape)))
            self.classical(ir.Pointwise(found, fn, args))
        return found

    def gather(self, x: ir.Value, indices: tuple[int, ...], shape: tuple[int, ...]) -> ir.Value:
        key = ("gather", x.id, indices, shape)
        found = self._once(key)
        if found is None:
            found = self._keep(key, self.value(replace(x.type, shape=shape)))
            self.like(x, found)
            self.classical(ir.Gather(found, x, indices))
        return found

    def reshape(self, x: ir.Value, shape: tuple[int, ...]) -> ir.Value:
        if x.type.shape == shape:
            return x
        key = ("reshape", x.id, shape)
        found = self._once(key)
        if found is None:
            found = self._keep(key, self.value(replace(x.type, shape=shape)))
            self.like(x, found)
            self.classical(ir.Reshape(found, x))
        return found

    def concat(self, args: tuple[ir.Value, ...]) -> ir.Value:
        if len(args) == 1:
            return self.reshape(args[0], (args[0].type.count,))
        key = ("concat", *[a.id for a in args])
        found = self._once(key)
        if found is None:
            type = Type("bit" if _bits(args) else "real", (sum(a.type.count for a in args),))
            found = self._keep(key, self.value(type))
            if all(a.id in self.readouts for a in args):
                self.readouts.add(found.id)
            self.classical(ir.Concat(found, args))
        return found

    def reduce(self, fn: str, x: ir.Value, last_axis: bool) -> ir.Value:
        key = ("reduce", fn, x.id, last_axis)
        found = self._once(key)
        if found is None:
            shape = x.type.shape[:-1] if last_axis else ()
            found = self._keep(key, self.value(real(*shape)))
            self.classical(ir.Reduce(found, fn, x, last_axis))
        return found

    def matmul(self, a: ir.Value, b: ir.Value) -> ir.Value:
        found = self.value(real(*a.type.shape[:-1], *b.type.shape[1:]))
        self.classical(ir.Matmul(found, a, b))
        return found

    def softmax(self, x: ir.Value) -> ir.Value:
        found = self.value(x.type)
        self.classical(ir.Softmax(found, x))
        return found

    def linear(
        self, x: ir.Value, out: int, weight: str, bias: str | None, gain: float = 1.0
    ) -> ir.Value:
        key = ("linear", x.id, weight, bias, gain)
        found = self._once(key)
        if found is None:
            found = self._keep(key, self.value(real(out)))
            self.classical(ir.Linear(found, x, weight, bias, gain))
        return found

    def glu(self, x: ir.Value) -> ir.Value:
        n = x.type.count // 2
        first = self.gather(x, tuple(range(n)), (n,))
        second = self.gather(x, tuple(range(n, 2 * n)), (n,))
        return self.pointwise("mul", first, self.pointwise("sigmoid", second))

    # --- tensors ---

    def as_real(self, value: ir.Value) -> ir.Value:
        """A measured bit as a number."""
        return self.pointwise("identity", value) if value.type.kind == "bit" else value

    def angle(self, t: Tensor) -> ir.Angle:
        """A scalar as an affine sum."""
        if t.value is None:
            a = t.elements[0]
            return self.bit_as_real(a) if t.type.kind == "bit" else a
        return ir.Angle(0.0, (ir.Term(1.0, self.as_real(t.value), 0),))

    def bit_as_real(self, a: ir.Angle) -> ir.Angle:
        terms = tuple(ir.Term(t.coefficient, self.as_real(t.value), t.index) for t in a.terms)
        return ir.Angle(a.constant, terms)

    def whole(self, t: Tensor) -> ir.Value:
        """The tensor as one value of its shape."""
        if t.value is not None:
            return self.reshape(t.value, t.type.shape)
        elements = t.elements
        scalar = self._bit if t.type.kind == "bit" else self.scalar
        if not t.type.shape:
            return scalar(elements[0])
        if not any(a.terms for a in elements):
            return self.const(tuple(a.constant for a in elements), t.type.shape, t.type.kind)
        first = elements[0]
        if len(first.terms) == 1:
            x = first.terms[0].value
            if all(_plain(a, x) for a in elements):
                indices = tuple(a.terms[0].index for a in elements)
                if len(indices) == x.type.count and indices == tuple(range(len(indices))):
                    return self.reshape(x, t.type.shape)
                return self.gather(x, indices, t.type.shape)
        return self.reshape(self.concat(tuple(scalar(a) for a in elements)), t.type.shape)

    def _bit(self, angle: ir.Angle) -> ir.Value:
        """A bit (0, 1, a measured one, or the opposite of one) as one value that is a bit."""
        if not angle.terms:
            return self.const((angle.constant,), (), "bit")
        [term] = angle.terms
        x = self.gather(term.value, (term.index,), ()) if term.value.type.shape else term.value
        if term.coefficient > 0:
            return x
        return self.pointwise(
            "where", x, self.const((0.0,), (), "bit"), self.const((1.0,), (), "bit")
        )

    def real_whole(self, t: Tensor) -> ir.Value:
        if t.value is None and t.type.kind == "bit":
            elements = tuple(self.bit_as_real(a) for a in t.elements)
            return self.whole(Tensor(real(*t.type.shape), None, elements))
        return self.as_real(self.whole(t))

    def scalar(self, angle: ir.Angle) -> ir.Value:
        """An affine sum as one scalar value."""
        total: ir.Value | None = None
        for term in angle.terms:
            x = term.value
            if x.type.shape:
                x = self.gather(x, (term.index,), ())
            if term.coefficient == -1.0 and total is None:
                x = self.pointwise("neg", x)
            elif term.coefficient != 1.0:
                x = self.pointwise("mul", self.const((term.coefficient,)), x)
            total = x if total is None else self.pointwise("add", total, x)
        if total is None:
            return self.const((angle.constant,))
        if angle.constant:
            total = self.pointwise("add", total, self.const((angle.constant,)))
        return total

    def lifted(self, angles: Iterable[ir.Angle]) -> tuple[list[ir.Value], int, bool]:
        """Scalars as whole vectors when each is the same element of vectors of one shape.

        Returns the values to work on, the element wanted of the result, and whether it was lifted.
        """
        angles = list(angles)
        shapes = {t.value.type.shape for a in angles for t in a.terms}
        indices = {t.index for a in angles for t in a.terms}
        if len(shapes) == 1 and len(indices) == 1 and shapes != {()}:
            values = []
            for a in angles:
                total: ir.Value | None = None
                for term in a.terms:
                    x = term.value
                    if term.coefficient != 1.0:
                        x = self.pointwise("mul", self.const((term.coefficient,)), x)
                    total = x if total is None else self.pointwise("add", total, x)
                c = self.const((a.constant,)) if a.constant or total is None else None
                if total is None:
                    total = c
                elif c is not None:
                    total = self.pointwise("add", total, c)
                assert total is not None
                values.append(total)
            return values, indices.pop(), True
        return [self.scalar(a) for a in angles], 0, False

    def only_readouts(self, t: Tensor) -> bool:
        if t.value is not None:
            return t.value.id in self.readouts
        return all(
            not a.constant and len(a.terms) == 1 and a.terms[0].value.id in self.readouts
            for a in t.elements
        )


def _bits(values: Iterable[ir.Value]) -> bool:
    return all(v.type.kind == "bit" for v in values)


def _plain(angle: ir.Angle, x: ir.Value) -> bool:
    terms = angle.terms
    return (
        not angle.constant
        and len(terms) == 1
        and terms[0].coefficient == 1.0
        and terms[0].value is x
    )
