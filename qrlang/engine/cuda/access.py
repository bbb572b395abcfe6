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
        mine: str = "",
    ) -> None:
        self.geometry, self.place, self.through = geometry, place, through
        self.names = ("P2", "Q2") if second else ("P", "Q")
        me = mine or ("tc" if geometry.chunks else "tid")
        if geometry.registers:  # else registers are free to keep it from step to step
            me = out.let("U", f"anew({me})", "me")
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
                    out(f"const Far {name} = far_of(smem, {r} ^ {k}u);")

    def _slot(self, index: int, whole: bool) -> int:
        """`whole`: with what the map adds to every index."""
        if self.through is not None:
            index = self.through(index) if whole else self.through.linear(index)
        return self.geometry.slot(index)

    def _where(self, j: int) -> tuple[str, str]:
        g = self.geometry
        constant = self._slot(self.place.index(j), True)
        if not g.shared:
            return "", f"{self.a} ^ {constant:#x}u"
        offset = (constant & (1 << g.local) - 1) * 2 * g.size
        base = self.ranks[constant >> g.local] if self.remote else "smem"
        return base, f"({self.a} ^ {offset:#x}u)"

    def load(self, j: int, state: int) -> str:
        """The amplitude of register j. The costate lies right behind the state."""
        base, at = self._where(j)
        if not self.geometry.shared:
            return f"{self.names[state]}[{at}]"
        past = state * self.geometry.bytes
        if self.remote:
            return f"far_load<{past}>({base} + {at})"
        return f"*(const C*)({base} + {at}{f' + {past}' if past else ''})"

    def store(self, j: int, state: int, value: str) -> str:
        base, at = self._where(j)
        if not self.geometry.shared:
            return f"{self.names[state]}[{at}] = {value};"
        past = state * self.geometry.bytes
        if self.remote:
            return f"far_store<{past}>({base} + {at}, {value});"
        return f"*(C*)({base} + {at}{f' + {past}' if past else ''}) = {value};"
