"""A unitary segment as machine code: done on states that the caller keeps, and undone on a state
and its cotangent together, with the gradients of the angles."""

from __future__ import annotations

import ctypes
import threading
from typing import TYPE_CHECKING, Any

from qrlang.engine.cpu.amplitudes.sweeps import Shape, Sweeps, Tables
from qrlang.engine.cpu.amplitudes.team import Team
from qrlang.engine.cpu.kernel.layout import rounded
from qrlang.engine.cpu.launch.kernel import NotFinite
from qrlang.engine.cpu.launch.memory import Memory
from qrlang.engine.cpu.llvm import elf, functions, machine
from qrlang.engine.cpu.llvm.asm import Fn, Format, Machine, Module, V
from qrlang.engine.nodes import Row
from qrlang.engine.segment import Segment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

WORDS = ("B", "psi", "g", "angles", "psi_out", "g_out", "dangles")


class SegmentPrinter:
    def __init__(self, plan: Segment, fmt: Format) -> None:
        self.plan, self.fmt = plan, fmt
        self.mod = Module(fmt)
        self.tables = Tables()
        self.sweeps = Sweeps(self.mod, self.tables, Team(self.mod, False))
        self.n = max(plan.n, fmt.lane_bits)
        self.shapes = [Shape.of(layer, self.n) for layer in plan.layers]
        self.work: dict[str, int] = {}
        self.size = 0
        row, lanes = fmt.row, fmt.lanes
        self._place("ones", row)
        self._place("active", row)
        self._place("given", max(1, plan.count) * row)
        self._place("back", max(1, plan.count) * row)
        vectors = 1
        for i, shape in enumerate(self.shapes):
            angles = max(1, len(shape.terms) + len(shape.bits))
            vectors += angles + 1
            self._place(f"angles{i}", angles * row)
            self._place(f"adjoint{i}", angles * row)
            self._place(f"prm{i}", shape.rows * row)
        tables = [self.sweeps.table_bytes(s.masks, self.n) for s in self.shapes]
        self._place("tables", max(tables, default=64))
        self._place("vectors", vectors * lanes * row)
        self._place("w", fmt.size << self.n)
        for name in ("psi", "lam", "spsi", "slam"):
            self._place(name, 2 * self.sweeps.plane(self.n))

    def _place(self, name: str, size: int) -> None:
        self.work[name] = self.size
        self.size += rounded(size)

    def at(self, name: str) -> V:
        return self.fn.at(self.fn.args["work"], self.work[name])

    def print(self) -> str:
        self._main("do")
        self._main("undo")
        hidden = "hidden " if elf.possible() else ""
        return self.mod.text() + f"@constants = {hidden}global ptr null\n"

    def _main(self, which: str) -> None:
        args = [("ctx", "ptr"), ("work", "ptr"), ("own", "ptr"), ("err", "ptr"),
                ("first", "i64"), ("last", "i64")]  # fmt: skip
        fn = self.fn = Fn(self.mod, which, args)
        fn.export()
        self.words = {
            name: fn.load(fn.args["ctx"], 8 * i, "i64" if name == "B" else "ptr")
            for i, name in enumerate(WORDS)
        }
        fn.store(fn.const(1.0), self.at("ones"))
        with fn.loop(fn.args["first"], fn.args["last"]) as block:
            self.base = fn.imul(block.i, self.fmt.lanes)
            left = fn.op("sub", self.words["B"], self.base)
            most = fn.i64(self.fmt.lanes)
            self.used = fn.select(fn.compare("slt", left, most), left, most)
            self._angles()
            if which == "do":
                self._do()
            else:
                self._undo()
        fn.done()

    def _angles(self) -> None:
        fn, row, size, count = self.fn, self.fmt.row, self.fmt.size, self.plan.count
        given = self.at("given")
        lanes = fn.ints(list(range(self.fmt.lanes)))
        used = fn.splat(fn.cast("trunc", self.used, fn.i))
        mask = fn.compare("slt", lanes, used)
        fn.store(fn.select(mask, fn.iconst(-1), fn.iconst(0)), self.at("active"))
        with fn.loop(0, self.used) as lane:
            b = fn.iadd(self.base, lane.i)
            source = fn.at(self.words["angles"], fn.imul(b, count * size))
            here = fn.at(given, fn.imul(lane.i, size))
            with fn.loop(0, count) as k:
                x = fn.load(source, fn.imul(k.i, size), fn.f)
                fn.store(x, here, fn.imul(k.i, row))
        for i, rows in enumerate(self.plan.rows):
            angles = self.at(f"angles{i}")
            for j, r in enumerate(rows):
                fn.store(self._sum(r, given), angles, j * row)
            prm = self.at(f"prm{i}")
            check = fn.call(
                self.sweeps.prepare(self.shapes[i]), fn.vf, angles, prm, self.at("ones")
            )
            check = fn.select(mask, check, fn.const(0.0))
            total = fn.call(
                f"llvm.vector.reduce.fadd.v{self.fmt.lanes}f{size * 8}", fn.f, fn.num(0.0), check
            )
            with fn.when(fn.compare("uno", total, total)):
                fn.store(fn.i64(i + 1), fn.args["err"])

    def _sum(self, r: Row, given: V) -> V:
        fn = self.fn
        value = fn.const(r.constant)
        for c, _, k in r.terms:
            value = fn.fma(fn.load(given, k * self.fmt.row), fn.const(c), value)
        return value

    def _unit(self, state: V) -> V:
        """1/norm of a state, in every lane: rounding makes the norm drift."""
        fn, row = self.fn, self.fmt.row
        plane = fn.at(state, self.sweeps.plane(self.n))
        with fn.loop(0, self.fmt.size << self.n, row, [fn.const(0.0)]) as loop:
            re, im = fn.load(state, loop.i), fn.load(plane, loop.i)
            loop.next = [fn.fma(re, re, fn.fma(im, im, loop.values[0]))]
        total = loop.values[0]
        for k in range(self.fmt.lane_bits):
            turned = fn.shuffle(total, None, [i ^ (1 << k) for i in range(self.fmt.lanes)])
            total = fn.add(total, turned)
        return fn.div(fn.const(1.0), functions.sqrt(fn, total))

    def _copy(self, amplitudes: V, b: V, state: V, out: bool, unit: V | None = None) -> None:
        """Between pairs of numbers and two planes."""
        fn, size, lanes, n = self.fn, self.fmt.size, self.fmt.lanes, self.plan.n
        plane = fn.at(state, self.sweeps.plane(self.n))
        there = fn.at(amplitudes, fn.imul(b, 2 * size << n))
        if n < self.fmt.lane_bits:
            if not out:
                fn.store(fn.const(0.0), state)
                fn.store(fn.const(0.0), plane)
            for i in range(1 << n):
                for k, p in enumerate((state, plane)):
                    at, pair_at = i * size, (2 * i + k) * size
                    if unit is not None:
                        one = fn.new(fn.f, f"extractelement {unit.type} {unit.name}, i32 0")
                        fn.store(fn.mul(fn.load(p, at, fn.f), one), there, pair_at)
                    else:
                        fn.store(fn.load(there, pair_at, fn.f), p, at)
            return
        pair, row = 2 * self.fmt.row, self.fmt.row
        with fn.loop(0, 1 << (n - self.fmt.lane_bits)) as loop:
            near, far = fn.imul(loop.i, row), fn.imul(loop.i, pair)
            second = fn.iadd(far, row)
            if out:
                assert unit is not None
                re, im = fn.mul(fn.load(state, near), unit), fn.mul(fn.load(plane, near), unit)
                order = [x for i in range(lanes) for x in (i, lanes + i)]
                fn.store(fn.shuffle(re, im, order[:lanes]), there, far, size)
                fn.store(fn.shuffle(re, im, order[lanes:]), there, second, size)
            else:
                a, z = fn.load(there, far, fn.vf, size), fn.load(there, second, fn.vf, size)
                fn.store(fn.shuffle(a, z, list(range(0, 2 * lanes, 2))), state, near)
                fn.store(fn.shuffle(a, z, list(range(1, 2 * lanes, 2))), plane, near)

    def _do(self) -> None:
        fn, size = self.fn, self.fmt.size
        ways = self.sweeps.ways(self.n, len(self.shapes))
        with fn.loop(0, self.used) as lane:
            b = fn.iadd(self.base, lane.i)
            here, there = self.at("psi"), self.at("spsi")
            self._copy(self.words["psi"], b, here, False)
            for i, shape in enumerate(self.shapes):
                prm = fn.at(self.at(f"prm{i}"), fn.imul(lane.i, size))
                name = self.sweeps.forward(shape, ways[i])
                fn.call(name, "void", here, there, prm, self.at("tables"), fn.args["own"])
                if ways[i]:
                    here, there = there, here
            self._copy(self.words["psi_out"], b, here, True, self._unit(here))

    def _undo(self) -> None:
        fn, row, size = self.fn, self.fmt.row, self.fmt.size
        stride = row * self.fmt.lanes
        starts, at = [], 0
        for shape in self.shapes:
            starts.append(at)
            at += (len(shape.terms) + len(shape.bits) + 1) * stride
        ways = self.sweeps.ways(self.n, len(self.shapes))
        with fn.loop(0, self.used) as lane:
            b = fn.iadd(self.base, lane.i)
            here, there = (self.at("psi"), self.at("lam")), (self.at("spsi"), self.at("slam"))
            self._copy(self.words["psi"], b, here[0], False)
            self._copy(self.words["g"], b, here[1], False)
            pending, g = None, fn.i64(0)
            for i in reversed(range(len(self.shapes))):
                shape = self.shapes[i]
                prm = fn.at(self.at(f"prm{i}"), fn.imul(lane.i, size))
                name = self.sweeps.backward(shape, pending, (), False, ways[i])
                out = fn.at(fn.at(self.at("vectors"), starts[i]), fn.imul(lane.i, row))
                fn.call(
                    name, "void", *here, *there, prm, g, self.at("tables"), self.at("w"), out,
                    self.at("tables"), fn.args["own"],
                )  # fmt: skip
                if ways[i]:
                    here, there = there, here
                pending = self.sweeps.gather_back(shape)
                g = fn.cast("zext", fn.load(prm, shape.row_back * row, fn.i), "i64")
            if pending is not None and not pending.plain:
                fn.call(
                    self.sweeps.settle(self.n, pending, ()), "void", *here, *there, g,
                    self.at("tables"), fn.args["own"],
                )  # fmt: skip
            unit = self._unit(here[0])
            self._copy(self.words["psi_out"], b, here[0], True, unit)
            self._copy(self.words["g_out"], b, here[1], True, unit)
        self._gradients(starts)

    def _gradients(self, starts: list[int]) -> None:
        fn, row, size, count = self.fn, self.fmt.row, self.fmt.size, self.plan.count
        zero, back = fn.const(0.0), self.at("back")
        with fn.loop(0, count * row, row) as each:
            fn.store(zero, back, each.i)
        for i, (shape, rows) in enumerate(zip(self.shapes, self.plan.rows, strict=True)):
            adjoint = self.at(f"adjoint{i}")
            for j in range(len(rows)):
                fn.store(zero, adjoint, j * row)
            vectors = fn.at(self.at("vectors"), starts[i])
            name = self.sweeps.finish(shape)
            fn.call(
                name, "void", vectors, self.at(f"prm{i}"), adjoint, self.at("active"), self.used
            )
            for j, r in enumerate(rows):
                for c, _, k in r.terms:
                    # The costate is half of a gradient with respect to both parts.
                    d = fn.fma(fn.load(adjoint, j * row), fn.const(c / 2), fn.load(back, k * row))
                    fn.store(d, back, k * row)
        with fn.loop(0, self.used) as lane:
            b = fn.iadd(self.base, lane.i)
            dest = fn.at(self.words["dangles"], fn.imul(b, count * size))
            here = fn.at(back, fn.imul(lane.i, size))
            with fn.loop(0, count) as loop:
                x = fn.load(here, fn.imul(loop.i, row), fn.f)
                fn.store(x, dest, fn.imul(loop.i, size))


class SegmentKernel:
    """States are complex arrays [B, 2^n], angles real ones [B, count]. States come out with norm
    one."""

    def __init__(self, plan: Segment, size: int, host: Machine) -> None:
        import numpy as np

        self.plan = plan
        fmt = Format(host, size)
        printer = SegmentPrinter(plan, fmt)
        text = printer.print()
        self.code, _ = machine.made(text, host, printer.tables.fill(fmt.lane_bits))
        self.run_do, self.run_undo = self.code.function("do"), self.code.function("undo")
        self.real = np.dtype(np.float32 if size == 4 else np.float64)
        self.complex = np.dtype(np.complex64 if size == 4 else np.complex128)
        self.lanes = fmt.lanes
        self.work = Memory(printer.size)
        self.lock = threading.Lock()

    def run(self, back: bool, batch: int, *addresses: int) -> None:
        """On memory: state, cotangent, angles, then where the results go (0: none)."""
        words = (ctypes.c_int64 * len(WORDS))(batch, *addresses)
        error = ctypes.c_int64(0)
        with self.lock:
            (self.run_undo if back else self.run_do)(
                ctypes.addressof(words), self.work.address, self.work.address,
                ctypes.addressof(error), 0, -(-batch // self.lanes),
            )  # fmt: skip
        if error.value:
            raise NotFinite(
                f"an angle of layer {error.value - 1} of the circuit is NaN or infinite"
            )

    def _arrays(self, back: bool, *arrays: Array | None) -> None:
        assert arrays[0] is not None
        self.run(back, len(arrays[0]), *(0 if a is None else a.ctypes.data for a in arrays))

    def do(self, psi: Array, angles: Array) -> Array:
        import numpy as np

        psi = np.ascontiguousarray(psi, self.complex)
        angles = np.ascontiguousarray(angles, self.real)
        out = np.empty_like(psi)
        self._arrays(False, psi, None, angles, out, None, None)
        return out

    def undo(self, psi: Array, g: Array, angles: Array) -> tuple[Array, Array, Array]:
        """The state and the cotangent (dL/dRe + i dL/dIm) before, and the angles' gradient."""
        import numpy as np

        psi, g = np.ascontiguousarray(psi, self.complex), np.ascontiguousarray(g, self.complex)
        angles = np.ascontiguousarray(angles, self.real)
        before, back, gradient = np.empty_like(psi), np.empty_like(g), np.empty_like(angles)
        self._arrays(True, psi, g, angles, before, back, gradient)
        return before, back, gradient


def segment_kernel(plan: Segment, dtype: str = "float32", vectors: str = "") -> SegmentKernel:
    return SegmentKernel(plan, {"float32": 4, "float64": 8}[dtype], machine.host(vectors))
