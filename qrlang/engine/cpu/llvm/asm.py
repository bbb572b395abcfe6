"""A small writer of LLVM IR text: typed values, loops with carried values, vector helpers.

Text is written directly because kernels are made while a user waits: a general IR library costs
several times as much per instruction.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple


class V(NamedTuple):
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Machine:
    """What the printer has to know of a processor."""

    triple: str
    cpu: str
    features: str
    bits: int  # of a vector
    fma: bool
    permute: str  # avx512, avx2 or none: how lanes are permuted by a vector of indices
    registers: int


@dataclass(frozen=True, slots=True)
class Format:
    """A real number type on a machine."""

    machine: Machine
    size: int  # bytes: 4 or 8

    @property
    def f(self) -> str:
        return "float" if self.size == 4 else "double"

    @property
    def i(self) -> str:
        return "i32" if self.size == 4 else "i64"

    @property
    def lanes(self) -> int:
        return self.machine.bits // 8 // self.size

    @property
    def lane_bits(self) -> int:
        return self.lanes.bit_length() - 1

    @property
    def vf(self) -> str:
        return f"<{self.lanes} x {self.f}>"

    @property
    def vi(self) -> str:
        return f"<{self.lanes} x {self.i}>"

    @property
    def row(self) -> int:
        return self.lanes * self.size


def number(x: float, size: int) -> str:
    """A float literal, exactly: LLVM wants 64 hexadecimal bits for both widths."""
    if size == 4:
        x = struct.unpack("<f", struct.pack("<f", x))[0]
    return "0x" + struct.pack(">d", x).hex().upper()


@dataclass(slots=True)
class Loop:
    i: V
    values: list[V]
    next: list[V] = field(default_factory=list)


class Module:
    def __init__(self, fmt: Format) -> None:
        self.fmt = fmt
        self.functions: dict[str, list[str]] = {}
        self.declared: dict[str, str] = {}

    def declare(self, name: str, result: str, args: str) -> str:
        self.declared[name] = f"declare {result} @{name}({args})"
        return name

    def text(self) -> str:
        m = self.fmt.machine
        lines = [f'target triple = "{m.triple}"']
        lines += self.declared.values()
        for body in self.functions.values():
            lines += body
        width = f'"min-legal-vector-width"="{m.bits}" "prefer-vector-width"="{m.bits}"'
        lines.append(f"attributes #0 = {{ nounwind {width} }}")
        return "\n".join(lines) + "\n"


class Fn:
    """One function being written."""

    def __init__(
        self, mod: Module, name: str, args: Sequence[tuple[str, str]], inline: bool = False
    ) -> None:
        self.mod, self.fmt, self.name = mod, mod.fmt, name
        self.count = 0
        self.block = "entry"
        listed = ", ".join(f"{t}{' noalias' if t == 'ptr' else ''} %{n}" for n, t in args)
        result = "void"
        self.lines = [f"define internal {result} @{name}({listed}) noinline #0 {{", "entry:"]
        self.args = {n: V(f"%{n}", t) for n, t in args}
        self.vf, self.vi, self.f, self.i = self.fmt.vf, self.fmt.vi, self.fmt.f, self.fmt.i

    def export(self) -> None:
        self.lines[0] = (
            self.lines[0].replace("define internal", "define", 1).replace(" noalias", "")
        )

    def done(self, value: V | None = None) -> None:
        if value is not None:
            self.lines[0] = self.lines[0].replace("void", value.type, 1)
            self.lines.append(f"  ret {value.type} {value.name}")
        else:
            self.lines.append("  ret void")
        self.lines.append("}")
        self.mod.functions[self.name] = self.lines

    # --- plain instructions

    def new(self, type_: str, text: str) -> V:
        self.count += 1
        name = f"%v{self.count}"
        self.lines.append(f"  {name} = {text}")
        return V(name, type_)

    def emit(self, text: str) -> None:
        self.lines.append("  " + text)

    def op(self, name: str, a: V, b: V) -> V:
        return self.new(a.type, f"{name} {a.type} {a.name}, {b.name}")

    def add(self, a: V, b: V) -> V:
        return self.op("fadd contract", a, b)

    def sub(self, a: V, b: V) -> V:
        return self.op("fsub contract", a, b)

    def mul(self, a: V, b: V) -> V:
        return self.op("fmul contract", a, b)

    def div(self, a: V, b: V) -> V:
        return self.op("fdiv", a, b)

    def neg(self, a: V) -> V:
        return self.new(a.type, f"fneg {a.type} {a.name}")

    def fma(self, a: V, b: V, c: V) -> V:
        """a b + c."""
        if self.fmt.machine.fma:
            return self.call(f"llvm.fma.{_suffix(a.type)}", a.type, a, b, c)
        return self.add(self.mul(a, b), c)

    def call(self, name: str, result: str, *args: V) -> V:
        if name not in self.mod.functions:
            self.mod.declare(name, result, ", ".join(a.type for a in args))
        listed = ", ".join(f"{a.type} {a.name}" for a in args)
        if result == "void":
            self.emit(f"call void @{name}({listed})")
            return V("", "void")
        return self.new(result, f"call {result} @{name}({listed})")

    def compare(self, how: str, a: V, b: V) -> V:
        kind = "fcmp" if "float" in a.type or "double" in a.type else "icmp"
        out = a.type.replace(_element(a.type), "i1")
        return self.new(out, f"{kind} {how} {a.type} {a.name}, {b.name}")

    def select(self, c: V, a: V, b: V) -> V:
        return self.new(a.type, f"select {c.type} {c.name}, {a.type} {a.name}, {b.type} {b.name}")

    def cast(self, how: str, a: V, to: str) -> V:
        if a.type == to:
            return a
        return self.new(to, f"{how} {a.type} {a.name} to {to}")

    # --- constants

    def num(self, x: float) -> V:
        return V(number(x, self.fmt.size), self.f)

    def const(self, x: float) -> V:
        """The same in every lane."""
        return self.splat_of([x] * self.fmt.lanes)

    def splat_of(self, values: Sequence[float]) -> V:
        inner = ", ".join(f"{self.f} {number(x, self.fmt.size)}" for x in values)
        return V(f"<{inner}>", f"<{len(values)} x {self.f}>")

    def ints(self, values: Sequence[int], type_: str | None = None) -> V:
        t = type_ or self.i
        return V("<" + ", ".join(f"{t} {x}" for x in values) + ">", f"<{len(values)} x {t}>")

    def iconst(self, x: int) -> V:
        return self.ints([x] * self.fmt.lanes)

    # --- memory (addresses in bytes)

    def at(self, base: V, offset: V | int) -> V:
        if isinstance(offset, int):
            if offset == 0:
                return base
            offset = V(str(offset), "i64")
        return self.new("ptr", f"getelementptr i8, ptr {base.name}, i64 {offset.name}")

    def load(self, base: V, offset: V | int = 0, type_: str | None = None, align: int = 0) -> V:
        t = type_ or self.vf
        align = align or (self.fmt.row if t in (self.vf, self.vi) else _bytes(t))
        return self.new(t, f"load {t}, ptr {self.at(base, offset).name}, align {align}")

    def store(self, value: V, base: V, offset: V | int = 0, align: int = 0) -> None:
        align = align or (self.fmt.row if value.type in (self.vf, self.vi) else _bytes(value.type))
        where = self.at(base, offset)
        self.emit(f"store {value.type} {value.name}, ptr {where.name}, align {align}")

    def splat(self, x: V) -> V:
        t = f"<{self.fmt.lanes} x {x.type}>"
        one = self.new(t, f"insertelement {t} poison, {x.type} {x.name}, i32 0")
        zeros = f"<{self.fmt.lanes} x i32> zeroinitializer"
        return self.new(t, f"shufflevector {t} {one.name}, {t} poison, {zeros}")

    def broadcast(self, base: V, offset: V | int = 0, type_: str | None = None) -> V:
        return self.splat(self.load(base, offset, type_ or self.f))

    def shuffle(self, a: V, b: V | None, lanes: Sequence[int]) -> V:
        mask = "<" + ", ".join(f"i32 {x}" for x in lanes) + ">"
        other = b.name if b is not None else "poison"
        element = _element(a.type)
        t = f"<{len(lanes)} x {element}>"
        return self.new(
            t,
            f"shufflevector {a.type} {a.name}, {a.type} {other}, <{len(lanes)} x i32> {mask}",
        )

    # --- integers

    def i64(self, x: int) -> V:
        return V(str(x), "i64")

    def iadd(self, a: V, b: V | int) -> V:
        return self.op("add", a, V(str(b), a.type) if isinstance(b, int) else b)

    def imul(self, a: V, b: V | int) -> V:
        return self.op("mul", a, V(str(b), a.type) if isinstance(b, int) else b)

    def bit(self, name: str, a: V, b: V | int) -> V:
        return self.op(name, a, V(str(b), a.type) if isinstance(b, int) else b)

    # --- control

    def label(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def begin(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.block = label

    @contextmanager
    def loop(
        self, start: V | int, stop: V | int, step: int = 1, carried: Sequence[V] = ()
    ) -> Iterator[Loop]:
        """Counts up while below `stop`; set `.next` for what is carried. After it, `.values`
        hold the last ones."""
        first = V(str(start), "i64") if isinstance(start, int) else start
        last = V(str(stop), "i64") if isinstance(stop, int) else stop
        before, head = self.block, self.label("head")
        inside, after = self.label("body"), self.label("after")
        self.emit(f"br label %{head}")
        self.begin(head)
        self.count += 1
        i = V(f"%i{self.count}", "i64")
        place = len(self.lines)
        self.lines.append("")
        values = []
        for v in carried:
            self.count += 1
            values.append(V(f"%c{self.count}", v.type))
            self.lines.append("")
        test = self.new("i1", f"icmp slt i64 {i.name}, {last.name}")
        self.emit(f"br i1 {test.name}, label %{inside}, label %{after}")
        self.begin(inside)
        loop = Loop(i, values)
        yield loop
        bumped = self.iadd(i, step)
        latch = self.block
        self.emit(f"br label %{head}")
        self.lines[place] = (
            f"  {i.name} = phi i64 [ {first.name}, %{before} ], [ {bumped.name}, %{latch} ]"
        )
        for k, (value, v, n) in enumerate(zip(values, carried, loop.next, strict=True)):
            self.lines[place + 1 + k] = (
                f"  {value.name} = phi {v.type} [ {v.name}, %{before} ], [ {n.name}, %{latch} ]"
            )
        self.begin(after)

    @contextmanager
    def when(self, condition: V) -> Iterator[None]:
        inside, after = self.label("then"), self.label("after")
        self.emit(f"br i1 {condition.name}, label %{inside}, label %{after}")
        self.begin(inside)
        yield
        self.emit(f"br label %{after}")
        self.begin(after)

    @contextmanager
    def down(self, count: V) -> Iterator[V]:
        """i = count-1 … 0."""
        with self.loop(0, count) as loop:
            yield self.op("sub", self.iadd(count, -1), loop.i)


def _element(type_: str) -> str:
    return type_[1:-1].split(" x ")[1] if type_.startswith("<") else type_


def _bytes(type_: str) -> int:
    return {"float": 4, "double": 8, "i8": 1, "i32": 4, "i64": 8, "ptr": 8}[_element(type_)]


def _suffix(type_: str) -> str:
    short = {"float": "f32", "double": "f64", "i32": "i32", "i64": "i64"}[_element(type_)]
    return f"v{type_[1:].split(' ', maxsplit=1)[0]}{short}" if type_.startswith("<") else short
