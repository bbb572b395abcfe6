"""Layers as device functions: forward, and undone on state and costate together."""

from __future__ import annotations

from collections.abc import Sequence

from qrlang.engine.cuda.amplitudes.access import Access
from qrlang.engine.cuda.amplitudes.factors import Factors
from qrlang.engine.cuda.amplitudes.halves import Halves
from qrlang.engine.cuda.amplitudes.sums import Part
from qrlang.engine.cuda.layout.geometry import Geometry, Phase, Place, Sweep
from qrlang.engine.cuda.layout.shape import Shape
from qrlang.engine.cuda.text import Text


class Layers(Halves):
    # --- forward

    def forward(
        self, shape: Shape, geometry: Geometry, first_scale: bool, reads: tuple[int, ...] = ()
    ) -> str:
        """`reads`: readouts after it, while the amplitudes are at hand."""
        first_scale = first_scale and not shape.tables
        key = (shape, first_scale, reads)
        return self._function(
            "forward", geometry, key,
            lambda out: self._forward(out, shape, geometry, first_scale, reads),
        )  # fmt: skip

    def _forward(
        self, out: Text, shape: Shape, g: Geometry, scaled: bool, reads: tuple[int, ...]
    ) -> None:  # fmt: skip
        sweeps = g.sweeps(shape.bits)
        back = shape.map.inverse()
        many = range(1 << g.registers)
        parts = self.parts(sweeps[-1].phases[-1].place, reads)
        sums = [out.fresh("m") for _ in parts]
        for name in sums:
            out(f"F {name} = F(0);")
        self._turned(out, shape, g, self._flip_word(shape))
        inner = False  # how the state lies among the blocks
        for i, sweep in enumerate(sweeps):
            first, final = sweep.phases[0], sweep.phases[-1]
            after = sweeps[i + 1].phases[0] if i + 1 < len(sweeps) else None
            with self.walk(out, g):
                moved = i == 0 and (shape.moves or not g.shared or first.place.inner)
                if moved:
                    source = Access(out, g, first.place, back, self._flip_word(shape))
                else:
                    source = Access(out, g, first.place, second=i > 0, inner=inner)
                self._amplitudes(out, g, "x")
                source.load("x")
                factors = Factors(out, shape, first.place, self._me(g)) if i == 0 else None
                fetched = g.shared and (moved or source.remote)
                if fetched:
                    self.arrive(out, g)
                if factors:
                    self._diagonal(out, shape, g, scaled, ["x"], False, factors)
                self._rotate(out, first, g)
                for k in range(1, len(sweep.phases)):
                    self._exchange(out, g, sweep, k - 1, k, ["x"], k == 1)
                    self._rotate(out, sweep.phases[k], g)
                goal, inner = source, final.place.inner
                if moved or source.remote or final is not first:
                    goal = Access(out, g, final.place, second=moved or i > 0, inner=inner)
                if fetched:
                    self.wait(out, g)
                if final.crosses:
                    self._cross(out, g, final, goal)
                else:
                    with self._if_on(out):
                        goal.store("x")
                if reads and after is None:
                    w = [out.let("F", f"x{j}.x * x{j}.x + x{j}.y * x{j}.y", "w") for j in many]
                    for name, value in zip(sums, self.walsh(out, g, w, parts), strict=True):
                        out(f"{name} += {value};")
            if reads and after is None:
                self.collect(out, sums, parts, range(len(reads)), len(reads))
            near = final.crosses or (after is not None and self._near(g, final, after))
            self.sync(out, near=near)

    def _amplitudes(self, out: Text, g: Geometry, *states: str) -> None:
        for x in states:
            out("C " + ", ".join(f"{x}{j}" for j in range(1 << g.registers)) + ";")

    def _near(self, g: Geometry, one: Phase, other: Phase) -> bool:
        """Does no amplitude come from another block between two phases."""
        return not g.cluster or (g.split and one.place.inner == other.place.inner)

    def _exchange(
        self, out: Text, g: Geometry, sweep: Sweep, here: int, there: int, states: Sequence[str],
        first: bool,
    ) -> None:  # fmt: skip
        """A tile from the places of one phase to those of another. What a thread has fetched it may
        overwrite; what others may still fetch, of the chunk before, it may not."""
        assert sweep.tile is not None
        if first and g.chunks:
            self.sync(out)
        put = Access(out, sweep.tile, sweep.within[here], mine="ln")
        for s, x in enumerate(states):
            for j in range(1 << g.registers):
                out(f"{put.one(j, s)} = {x}{j};")
        self.sync(out)
        get = Access(out, sweep.tile, sweep.within[there], mine="ln")
        for s, x in enumerate(states):
            for j in range(1 << g.registers):
                out(f"{x}{j} = {get.one(j, s)};")

    def _flip_word(self, shape: Shape) -> str:
        return f"(U)((const W*)p)[{shape.at_words}]" if shape.bits else ""

    def _diagonal(
        self, out: Text, shape: Shape, g: Geometry, scaled: bool, states: Sequence[str],
        conjugate: bool, factors: Factors,
    ) -> None:  # fmt: skip
        """The factor of each register's amplitude, applied."""
        many, how = range(1 << g.registers), "mulc" if conjugate else "mul"
        if shape.tables:
            for j in many:
                d = factors.of(j)
                out(*(f"{x}{j} = {how}({x}{j}, {d});" for x in states))
        elif scaled:
            s = out.let("F", f"p[{shape.at_tables}]", "s")
            for x in states:
                out(*(f"{x}{j}.x *= {s}; {x}{j}.y *= {s};" for j in many))

    def _rotate(self, out: Text, phase: Phase, g: Geometry) -> None:
        for k, i in phase.lanes:
            t = out.let("F", f"ln >> {k} & 1u ? p[{i}] : -p[{i}]", "t")
            for j in range(1 << g.registers):
                out(f"{{ const F u = over(x{j}.x, {1 << k}), w = over(x{j}.y, {1 << k});")
                out(f"  x{j}.x += {t} * u; x{j}.y += {t} * w; }}")
        for k, i in phase.registers:
            t = out.let("F", f"p[{i}]", "t")
            for j in range(1 << g.registers):
                if not j >> k & 1:
                    a, b = f"x{j}", f"x{j | 1 << k}"
                    for part in "xy":
                        out(
                            f"{{ const F u = {a}.{part}; {a}.{part} -= {t} * {b}.{part}; "
                            f"{b}.{part} += {t} * u; }}"
                        )

    # --- backward

    def backward(
        self, shape: Shape, geometry: Geometry, scaled: bool, seeds: tuple[int, ...]
    ) -> str:
        scaled = scaled and not shape.tables
        key = (shape, scaled, seeds)
        extra = ", const bool norm" + (", const F* const given" if seeds else "")
        return self._function(
            "backward", geometry, key,
            lambda out: self._backward(out, shape, geometry, scaled, seeds), extra,
        )  # fmt: skip

    def seeded(self, out: Text, g: Geometry, place: Place, seeds: tuple[int, ...]) -> None:
        """λ += Σ weight Z ψ for the readouts whose weights are `given`."""
        for j, w in enumerate(self.weights(out, g, place, seeds, "given")):
            out(f"y{j}.x += {w} * x{j}.x; y{j}.y += {w} * x{j}.y;")

    def _backward(
        self, out: Text, shape: Shape, g: Geometry, scaled: bool, seeds: tuple[int, ...],
    ) -> None:  # fmt: skip
        sweeps = g.sweeps(shape.bits)
        back = shape.map.inverse()
        count = shape.sums
        self._turned(out, shape, g, self._flip_word(shape))
        inner = False
        for i in reversed(range(len(sweeps))):
            sweep = sweeps[i]
            first, final = sweep.phases[0], sweep.phases[-1]
            before = sweeps[i - 1].phases[-1] if i else None
            numbers = [r for p in sweep.phases for r in p.numbers]
            names = {r: f"v{i}_{r}" for r in numbers}
            for name in names.values():
                out(f"F {name} = F(0);")
            parts: list[Part] = []
            terms: list[str] = []
            seats: dict[str, str] = {}
            if i == 0:
                # Of the last: the norm.
                parts = [*self.parts(first.place, shape.terms), Part(0, 0, {0: len(shape.terms)})]
                terms = [out.fresh("m") for _ in parts]
                for name in terms:
                    out(f"F {name} = F(0);")
                if g.split:
                    # Looked up before amplitudes go to another block: what comes from memory after
                    # them has to wait until they are there.
                    where = self.seats(parts, range(len(shape.bits), count), sorted(numbers))[1]
                    seats = {out.fresh("c"): x for x in where}
                    out(*(f"int {name};" for name in seats))
            with self.walk(out, g):
                source = Access(out, g, final.place, inner=inner or final.crosses)
                self._amplitudes(out, g, "x", "y")
                if final.crosses:
                    self._cross_back(out, g, final, source, names)
                else:
                    source.load("x", "y")
                sent = i == 0 and (shape.moves or not g.shared or first.place.inner)
                fetched = g.shared and (sent or source.remote)
                if fetched and not final.crosses:
                    self.arrive(out, g)
                if i == len(sweeps) - 1 and seeds:
                    self.seeded(out, g, final.place, seeds)
                self._unrotate(out, final, g, names)
                for k in reversed(range(len(sweep.phases) - 1)):
                    start = k == len(sweep.phases) - 2
                    self._exchange(out, g, sweep, k + 1, k, ["x", "y"], start)
                    self._unrotate(out, sweep.phases[k], g, names)
                goal, inner = source, first.place.inner
                if i == 0:
                    self._undo_diagonal(out, shape, g, first.place, scaled, parts, terms)
                if sent:
                    flips = self._flip_word(shape)
                    goal = Access(out, g, first.place, back, flips, second=True)
                elif first is not final or source.remote:
                    goal = Access(out, g, first.place, inner=inner)
                out(*(f"{name} = {where};" for name, where in seats.items()))
                if final.crosses:
                    out("__cluster_barrier_wait();")
                elif fetched:
                    self.wait(out, g)
                with self._if_on(out):
                    goal.store("x", "y")
            # Sums are read after the last phase: until then they are gathered while others arrive.
            near = before is not None and self._near(g, first, before)
            early = g.split and before is not None and not near
            if early:
                self.arrive(out, g)
            added = {r: names[r] for r in sorted(numbers)}
            self.collect(
                out, terms, parts, range(len(shape.bits), count), count, added, seats=list(seats),
            )  # fmt: skip
            if early:
                self.wait(out, g)
            else:
                self.sync(out, near=near)

    def _undo_diagonal(
        self, out: Text, shape: Shape, g: Geometry, place: Place, scaled: bool,
        parts: Sequence[Part], names: Sequence[str],
    ) -> None:  # fmt: skip
        """Its terms' sums, the diagonal undone, and the norm where it is asked for."""
        many = range(1 << g.registers)
        if shape.terms:
            w = [out.let("F", f"y{j}.x * x{j}.y - y{j}.y * x{j}.x", "w") for j in many]
            for name, value in zip(names[:-1], self.walsh(out, g, w, parts[:-1]), strict=True):
                out(f"{name} += {value};")
        factors = Factors(out, shape, place, self._me(g))
        self._diagonal(out, shape, g, scaled, ["x", "y"], True, factors)
        with out.block("if (norm)"):
            for j in many:
                out(f"{names[-1]} += x{j}.x * x{j}.x + x{j}.y * x{j}.y;")

    def _unrotate(self, out: Text, phase: Phase, g: Geometry, names: dict[int, str]) -> None:
        for k, i in phase.registers:
            t = out.let("F", f"p[{i}]", "t")
            v = names[i]
            for j in range(1 << g.registers):
                if j >> k & 1:
                    continue
                self.unrotated(out, j, j | 1 << k, t, v)
        for k, i in phase.lanes:
            t = out.let("F", f"ln >> {k} & 1u ? p[{i}] : -p[{i}]", "t")
            part_sum = out.fresh("n")
            out(f"F {part_sum} = F(0);")
            for j in range(1 << g.registers):
                for part in "xy":
                    out(
                        f"{{ const F u = over(x{j}.{part}, {1 << k}), "
                        f"c = over(y{j}.{part}, {1 << k});"
                    )
                    out(f"  {part_sum} += y{j}.{part} * u;")
                    out(f"  x{j}.{part} -= {t} * u; y{j}.{part} -= {t} * c; }}")
            out(f"{names[i]} = ln >> {k} & 1u ? {part_sum} : -{part_sum};")

    # --- readouts, and weights of readouts by themselves

    def read(
        self, masks: tuple[int, ...], geometry: Geometry, places: tuple[int, ...] = (),
        norm: int = -1,
    ) -> str:  # fmt: skip
        """Sums of each warp; or, as values, where a warp is all there is: at these places, the
        first also where norms are."""

        def write(out: Text) -> None:
            g = geometry
            place = g.place()
            parts = self.parts(place, masks)
            sums = [out.fresh("m") for _ in parts]
            for name in sums:
                out(f"F {name} = F(0);")
            with self.walk(out, g):
                source = Access(out, g, place)
                self._amplitudes(out, g, "x")
                source.load("x")
                values = []
                for j in range(1 << g.registers):
                    values.append(out.let("F", f"x{j}.x * x{j}.x + x{j}.y * x{j}.y", "w"))
                for name, value in zip(sums, self.walsh(out, g, values, parts), strict=True):
                    out(f"{name} += {value};")
            self.collect(out, sums, parts, places or range(len(masks)), len(masks), norm=norm)

        return self._function("read", geometry, (masks, places, norm), write)

    def settle(self, seeds: tuple[int, ...], geometry: Geometry) -> str:
        def write(out: Text) -> None:
            g = geometry
            place = g.place()
            with self.walk(out, g):
                source = Access(out, g, place)
                self._amplitudes(out, g, "x", "y")
                source.load("x", "y")
                self.seeded(out, g, place, seeds)
                with self._if_on(out):
                    for j in range(1 << g.registers):
                        out(f"{source.one(j, 1)} = y{j};")

        return self._function(
            "settle", geometry, (seeds,), write,
            ", const F* const given",
        )  # fmt: skip
