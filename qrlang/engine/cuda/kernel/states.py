"""Whole states on their way in and out of a kernel: as they lie in their home, and in the caller's
order, where the first qubit is the most significant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from qrlang.engine import nodes
from qrlang.engine.cuda.kernel.loops import Loops
from qrlang.engine.cuda.source import BATCH, Argument, fixed
from qrlang.engine.cuda.text import linear, xor


class States(Loops):
    @contextmanager
    def slots(self, s: int) -> Iterator[tuple[str, str]]:
        """For each slot of the block's part of a home, shared by its threads: (which of all, where
        it is)."""
        g = self.geometries[s]
        first, count, base = "tid", 1 << g.bits, ""
        if g.shared and g.cluster:
            first, count, base = "ln", 1 << g.local, f"rank << {g.local} | "
        step = self.mapping.group if g.shared else 1 << g.threads
        with self.out.rolled(f"for (U i = {first}; i < {count}u; i += {step}u)"):
            here = f"*(C*)(smem + h{s} + i * {2 * g.size}u)" if g.shared else f"P{s}[i]"
            yield f"({base}i)", here

    @contextmanager
    def amplitudes(self, s: int) -> Iterator[tuple[str, str, str]]:
        """For each amplitude, by its index: (index, where it is, where its costate is)."""
        out, g = self.out, self.geometries[s]
        with self.slots(s) as (number, here):
            if not g.shared:
                x = out.let("U", number, "x")
                yield x, here, f"Q{s}[{x}]"
                return
            # Numbered so that the rank is above.
            number = out.let("U", number, "i")
            x = out.let("U", linear(g.between.inverse().cols, number), "x")
            low = (1 << g.local) - 1
            slot = xor(linear([c & low for c in g.slots], number))
            at = f"smem + h{s} + ({slot}) * {2 * g.size}u"
            yield x, f"*(C*)({at})", f"*(C*)({at} + {g.bytes})"

    def save(self, s: int) -> None:
        g = self.geometries[s]
        there = f"((C*)st{s} + b * {1 << g.bits})"
        guard = "real" if g.shared else f"P{s} != {there}"
        with self.out.block(f"if ({guard})"), self.slots(s) as (number, here):
            self.out(f"{there}[{number}] = {here};")

    def restore(self, s: int) -> None:
        """What was saved, and no costate yet."""
        out, g = self.out, self.geometries[s]
        with self.slots(s) as (number, here):
            costate = f"{here[:-1]} + {g.bytes})" if g.shared else f"Q{s}[i]"
            out(f"C x; x.x = F(0); x.y = F(0); {costate} = x;")
            if not self.plan.local[s]:
                out(f"{here} = ((const C*)st{s})[b * {1 << g.bits} + {number}];")

    # --- states that go on from one call to the next

    def kept_arguments(self) -> list[Argument]:
        found = []
        for kind, name in (("state", "given"), ("state_out", "left")):
            for i, kept in enumerate(self.plan.kept):
                if kind == "state_out" or self.plan.given:
                    shape = (BATCH, fixed(2 << self.plan.spaces[kept.space]))
                    found.append(Argument(kind, f"{name}{i}", i, shape=shape))
        return found

    def _place(self, kept: nodes.Kept) -> tuple[list[int], int]:
        """Where an amplitude of the home belongs: the map, then the bits turned round."""
        n = kept.map.n

        def turned(x: int) -> int:
            return sum(1 << (n - 1 - b) for b in range(n) if x >> b & 1)

        return [turned(c) for c in kept.map.cols], turned(kept.map.shift)

    def take_given(self) -> None:
        """The states that lie there when the call begins."""
        if not self.plan.given:
            return
        for i, kept in enumerate(self.plan.kept):
            n = kept.map.n
            cols, shift = self._place(kept)
            with self.amplitudes(kept.space) as (x, here, _):
                self.out("C y; y.x = F(0); y.y = F(0);")
                with self.out.block(f"if ({x} < {1 << n}u)"):
                    at = xor(linear(cols, x), f"{shift:#x}u")
                    self.out(f"y = ((const C*)given{i})[b * {1 << n} + ({at})];")
                self.out(f"{here} = y;")
        self.barrier(far=True)

    def leave(self) -> None:
        """What goes on after the call: with what the last step has left to be done, norm one."""
        out = self.out
        for i, kept in enumerate(self.plan.kept):
            s, n = kept.space, kept.map.n
            self.norm_of(s)
            for m in range(len(kept.masks)):
                self.reads("v", kept.angles)
                out(f"const W turn{i}_{m} = turns({self.value(kept.angles, m)});")
            cols, shift = self._place(kept)
            with self.amplitudes(s) as (x, here, _), out.block(f"if (real && {x} < {1 << n}u)"):
                moved = xor(linear(list(kept.map.cols), x), f"{kept.map.shift:#x}u")
                out(f"const U moved = {moved};", "W u = 0;")
                for m, mask in enumerate(kept.masks):
                    out(f"u += turned(parity(moved & {mask:#x}u), turn{i}_{m});")
                at = xor(linear(cols, x), f"{shift:#x}u")
                where = f"((C*)left{i})[b * {1 << n} + ({at})]"
                out(f"{where} = mul({here}, phase(u, unit({self._norm(s)})));")

    def norm_of(self, s: int) -> None:
        """The squared norm of a state, where `_norm` has it."""
        if not self.clean:
            self.barrier()
        red = self._red()
        name = self.layers.read((0,), self.geometries[s])
        self.out(self.layers.call(name, s, "mine", self._at(red)))
        self.barrier(far=True)
        with self.out.block(""):
            self.out(f"F* const red = own + {red};")
            total = self.layers.total(self.out, "0", 1)
            self.out(f"if (ln == 0) {self._norm(s)} = {total};")
        self.clean = False
        self.barrier(far=True)
