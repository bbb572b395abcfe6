"""The exchange of halves between two blocks (crossing.py), as a layer's last phase forward, and its
first backward.

A thread has two amplitudes for each setting of its registers but one: those that differ in the
pivot before the exchange, and in the qubit p after it. Of each pair it keeps the one that the block
is to have, and the other goes to the same thread of the other block.
"""

from __future__ import annotations

from collections.abc import Sequence

from qrlang.engine.cuda.amplitudes.access import Access
from qrlang.engine.cuda.amplitudes.calls import Calls
from qrlang.engine.cuda.layout.geometry import Geometry, Phase
from qrlang.engine.cuda.layout.shape import Shape
from qrlang.engine.cuda.text import Text
from qrlang.engine.gf2 import parity


class Halves(Calls):
    def _turned(self, out: Text, shape: Shape, g: Geometry, flips: str) -> None:
        """A block whose qubit is flipped works as the other one would: nothing moves for it."""
        if not g.crossing:
            return
        top, always = g.threads - 1, g.slot(shape.map.inverse().shift) >> g.local
        out(f"const U rank = tid >> {top};")
        if flips:
            out(f"tid ^= ({flips} >> {g.local} & 1u) << {top};")
        if always:
            out(f"tid ^= {1 << top:#x}u;")

    def _cross(self, out: Text, g: Geometry, phase: Phase, at: Access) -> None:
        """From where the phase has its amplitudes into the home between layers."""
        pairs = self._pairs(g, phase)
        self._sort(out, g, phase, ["x"])
        self._give(out, at, pairs, ["x"])
        for i in phase.across:
            t = out.let("F", f"{self._first(g)} ? p[{i}] : -p[{i}]", "t")
            for j, k in pairs:
                for part in "xy":
                    out(f"{{ const F u = x{j}.{part}; x{j}.{part} -= {t} * x{k}.{part};")
                    out(f"  x{k}.{part} += {t} * u; }}")
        home = self._home(g, at, pairs)
        out("__cluster_barrier_wait();")
        for j, k in pairs:
            out(f"{home.one(j)} = x{j};", f"{home.one(k)} = x{k};")

    def _cross_back(
        self, out: Text, g: Geometry, phase: Phase, at: Access, names: dict[int, str]
    ) -> None:
        """The other way, state and costate; the second half of a barrier has still to be waited
        for before anything is stored."""
        states, pairs = ["x", "y"], self._pairs(g, phase)
        home = self._home(g, at, pairs)
        home.load(*states)
        for i in phase.across:
            first = self._first(g)
            t = out.let("F", f"{first} ? p[{i}] : -p[{i}]", "t")
            for j, k in pairs:
                self.unrotated(out, j, k, t, names[i])
            out(f"{names[i]} = {first} ? {names[i]} : -{names[i]};")
        self._give(out, at, pairs, states)
        self._sort(out, g, phase, states)

    def unrotated(self, out: Text, a: int, b: int, t: str, total: str) -> None:
        """A pair of amplitudes, of state and costate, and what the rotation's angle gets of it."""
        for part in "xy":
            out(f"{{ const F u = x{a}.{part}, w = x{b}.{part}, c = y{a}.{part}, d = y{b}.{part};")
            out(f"  {total} += d * u; {total} -= c * w;")
            out(f"  x{a}.{part} += {t} * w; x{b}.{part} -= {t} * u;")
            out(f"  y{a}.{part} += {t} * d; y{b}.{part} -= {t} * c; }}")

    def _pairs(self, g: Geometry, phase: Phase) -> list[tuple[int, int]]:
        """Registers that differ in the pivot alone."""
        assert g.crossing
        pivot = 1 << phase.place.registers.index(1 << g.crossing.pivot)
        return [(j, j | pivot) for j in range(1 << g.registers) if not j & pivot]

    def _first(self, g: Geometry) -> str:
        """Is the qubit 0 in what the thread keeps."""
        return f"!(tid >> {g.threads - 1})"

    def _home(self, g: Geometry, at: Access, pairs: Sequence[tuple[int, int]]) -> Access:
        """Where the same registers lie between layers: what is kept, and what has come."""
        pivot = pairs[0][1] ^ pairs[0][0]
        return at.aside(f"tid >> {g.threads - 1}", pivot)

    def _sort(self, out: Text, g: Geometry, phase: Phase, states: Sequence[str]) -> None:
        """The kept one of each pair first; or, done again, the one first that has no pivot."""
        assert g.crossing
        mask = phase.place.split(g.crossing.parity)[1]
        odd = out.let("bool", f"(parity(tid & {mask:#x}u) ^ rank) & 1u" if mask else "rank", "o")
        for x in states:
            for j, k in self._pairs(g, phase):
                swap = f"!{odd}" if parity(phase.place.index(j) & g.crossing.parity) else odd
                for part in "xy":
                    out(f"{{ const F u = {x}{j}.{part}, w = {x}{k}.{part};")
                    out(f"  {x}{j}.{part} = {swap} ? w : u; {x}{k}.{part} = {swap} ? u : w; }}")

    def _give(
        self, out: Text, at: Access, pairs: Sequence[tuple[int, int]], states: Sequence[str]
    ) -> None:
        """The second of each pair for the other block's: through the thread's own places."""
        for s, x in enumerate(states):
            for j, k in pairs:
                out(f"{at.one(j, s)} = {x}{k};")
        out("meet_cluster();", "const Far q = far_of(smem, rank ^ 1u);")
        for s, x in enumerate(states):
            for j, k in pairs:
                out(f"{x}{k} = {at.far(j, s)};")
        out("__cluster_barrier_arrive();")
