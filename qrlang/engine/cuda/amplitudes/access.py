"""Where a thread finds its amplitudes: `home[a ^ constant]`, here or in another block."""

from __future__ import annotations

from copy import copy

from qrlang.engine.cuda.layout.geometry import Geometry, Place
from qrlang.engine.cuda.text import Text, linear, xor
from qrlang.engine.gf2 import Affine


class Access:
    """Writes what is common to all amplitudes of a thread when made; `state` is 0 for the state
    and 1 for the costate, `through` a map that the index goes through first, `flips` a slot to
    add that only a run knows; `inner` says how the state lies among the blocks of a cluster."""

    def __init__(
        self,
        out: Text,
        geometry: Geometry,
        place: Place,
        through: Affine | None = None,
        flips: str = "",
        second: bool = False,
        mine: str = "",
        inner: bool = False,
    ) -> None:
        self.out, self.geometry, self.place, self.through = out, geometry, place, through
        self.inner = inner
        self.names = ("P2", "Q2") if second else ("P", "Q")
        me = mine or ("tc" if geometry.chunks else "tid")
        if geometry.registers:  # else registers are free to keep it from step to step
            me = out.let("U", f"anew({me})", "me")
        cols = [self._slot(v, False) for v in place.threads]
        self.remote = geometry.fetches and (through is not None or inner != place.inner)
        if not geometry.shared:
            self.a = out.let("U", xor(linear(cols, me), flips), "a")
            return
        scale = 2 * geometry.size
        low = (1 << geometry.local) - 1
        local = linear([(c & low) * scale for c in cols], me)
        here = (
            f"(({flips}) & {low:#x}u) * {scale}u"
            if flips and geometry.cluster
            else (f"({flips}) * {scale}u" if flips else "")
        )
        self.a = out.let("U", xor("h", local, here), "a")
        if self.remote:
            # How far the block is from this one: 0 is this one.
            mask = (1 << geometry.cluster) - 1
            top = linear([c >> geometry.local for c in cols], me)
            away = xor(
                top, f"({flips} >> {geometry.local})" if flips else "",
                f"(tid >> {geometry.threads - geometry.cluster})",
            )  # fmt: skip
            self.away = out.let("U", f"({away}) & {mask}u", "r")

    def _slot(self, index: int, whole: bool) -> int:
        """`whole`: with what the map adds to every index."""
        if self.through is not None:
            index = self.through(index) if whole else self.through.linear(index)
        return self.geometry.slot(index, self.inner)

    def _constant(self, j: int) -> tuple[int, int]:
        """What the register number adds: to the rank, to the slot in a block."""
        constant = self._slot(self.place.index(j), True)
        local = self.geometry.local
        return constant >> local, constant & (1 << local) - 1

    def aside(self, bit: str, register: int) -> Access:
        """The same, but with this bit of the register number turned where `bit`, 0 or 1, is 1."""
        found = copy(self)
        by = self._constant(register)[1] ^ self._constant(0)[1]
        found.a = self.out.let("U", f"{self.a} ^ ({bit}) * {by * 2 * self.geometry.size:#x}u", "a")
        return found

    def far(self, j: int, state: int) -> str:
        """The amplitude that lies there in another block, whose memory is at `q`."""
        there = f"q + ({self.a} ^ {self._constant(j)[1] * 2 * self.geometry.size:#x}u)"
        return f"far_load<{state * self.geometry.bytes}>({there})"

    def one(self, j: int, state: int = 0) -> str:
        """The amplitude of register j, where no other block has any. The costate lies right behind
        the state."""
        assert not self.remote
        g = self.geometry
        if not g.shared:
            constant = self._slot(self.place.index(j), True)
            return f"{self.names[state]}[{self.a} ^ {constant:#x}u]"
        return self._near(self._constant(j)[1], state)

    def _near(self, slot: int, state: int) -> str:
        g = self.geometry
        past = f" + {state * g.bytes}" if state else ""
        return f"*(C*)(smem + ({self.a} ^ {slot * 2 * g.size:#x}u){past})"

    def load(self, *states: str) -> None:
        """All amplitudes of the thread, into variables that there are: x0, x1, …"""
        self._all(states, "{x} = {here};", "{x} = far_load<{past}>({there});")

    def store(self, *states: str) -> None:
        self._all(states, "{here} = {x};", "far_store<{past}>({there}, {x});")

    def _all(self, states: tuple[str, ...], near: str, far: str) -> None:
        out, g = self.out, self.geometry
        many = range(1 << len(self.place.registers))
        if not self.remote:
            for s, x in enumerate(states):
                for j in many:
                    out(near.format(x=f"{x}{j}", here=self.one(j, s)))
            return
        for rank in sorted({self._constant(j)[0] for j in many}):
            mine = [(j, slot) for j in many for r, slot in [self._constant(j)] if r == rank]
            with out.block(f"if ({self.away} == {rank}u)"):
                for s, x in enumerate(states):
                    for j, slot in mine:
                        out(near.format(x=f"{x}{j}", here=self._near(slot, s)))
            with out.block("else"):
                own = f"(tid >> {g.threads - g.cluster})"
                out(f"const Far q = far_of(smem, {own} ^ {self.away} ^ {rank}u);")
                for s, x in enumerate(states):
                    for j, slot in mine:
                        there = f"q + ({self.a} ^ {slot * 2 * g.size:#x}u)"
                        out(far.format(x=f"{x}{j}", there=there, past=s * g.bytes))
