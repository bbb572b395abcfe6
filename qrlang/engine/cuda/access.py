"""Where a thread finds its amplitudes: `home[a ^ constant]`, here or in another block."""

from __future__ import annotations

from qrlang.engine.cuda.geometry import Geometry, Place
from qrlang.engine.cuda.text import Text, linear, xor
from qrlang.engine.gf2 import Affine


class Access:
    """Writes what is common to all amplitudes of a thread when made; `state` is 0 for the state
    and 1 for the costate, `through` a map that the index goes through first, `flips` a slot to
    add that only a run knows."""

    def __init__(
        self,
        out: Text,
        geometry: Geometry,
        place: Place,
        through: Affine | None = None,
        flips: str = "",
        second: bool = False,
    ) -> None:
        self.geometry, self.place, self.through = geometry, place, through
        self.names = ("P2", "Q2") if second else ("P", "Q")
        me = "tid" if geometry.chunks == 0 else "tc"
        cols = [self._slot(1 << b, False) for b in place.threads]
        self.remote = (
            geometry.cluster > 0
            and geometry.shared
            and (through is not None or not geometry.near(place))
        )
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
        self.ranks: dict[int, str] = {}
        if self.remote:
            top = linear([c >> geometry.local for c in cols], me)
            r = out.let("U", xor(top, f"({flips} >> {geometry.local})" if flips else ""), "r")
            for j in range(1 << len(place.registers)):
                k = self._slot(place.index(j), True) >> geometry.local
                if k not in self.ranks:
                    name = self.ranks[k] = out.fresh("q")
                    out(f"char* const {name} = (char*)__cluster_map_shared_rank(smem, {r} ^ {k}u);")

    def _slot(self, index: int, whole: bool) -> int:
        """`whole`: with what the map adds to every index."""
        if self.through is not None:
            index = self.through(index) if whole else self.through.linear(index)
        return self.geometry.slot(index)

    def __call__(self, j: int, state: int) -> str:
        """The amplitude of register j."""
        g = self.geometry
        constant = self._slot(self.place.index(j), True)
        if not g.shared:
            return f"{self.names[state]}[{self.a} ^ {constant:#x}u]"
        offset = (constant & (1 << g.local) - 1) * 2 * g.size + state * g.bytes
        base = self.ranks[constant >> g.local] if self.remote else "smem"
        return f"*(C*)({base} + ({self.a} ^ {offset:#x}u))"
