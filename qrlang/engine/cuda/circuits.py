"""Circuits: their parameters from angles, their layers, their readouts, and the way back."""

from __future__ import annotations

from qrlang.engine import nodes
from qrlang.engine.cuda.memory import batches, even
from qrlang.engine.cuda.rows import Rows
from qrlang.engine.cuda.shape import Shape
from qrlang.engine.cuda.source import ANGLE


class Circuits(Rows):
    def _number_of(self, node: nodes.Circuit) -> int:
        return next(i for i, c in enumerate(self.circuits) if c is node)

    def _batches(self, k: int) -> list[list[int]]:
        """Layers of a circuit, by number, in parts whose parameters are made together."""
        out, at = [], 0
        for part in batches(self.shapes[k], self.memory.limit):
            out.append(list(range(at, at + len(part))))
            at += len(part)
        return out

    def _places(self, k: int, part: list[int]) -> dict[int, int]:
        """Where the parameters of each layer of a part begin."""
        at, out = self.memory.parameters, {}
        for i in part:
            out[i] = at
            at += even(self.shapes[k][i].parameters)
        return out

    def _norm(self, s: int) -> str:
        return f"own[{self.memory.norms + s}]"

    # --- parameters

    def _prepare(
        self, node: nodes.Circuit, k: int, part: list[int], scaled: int, report: bool
    ) -> None:
        """Parameters of some layers; `scaled` is the layer that brings the norm back to one."""
        out = self.out
        if not self.clean:
            self.barrier()
        places = self._places(k, part)
        columns: list[list[int]] = [[] for _ in range(6)]
        angle = [*self.addresses(node.angles), -1]
        for i in part:
            shape, layer, at = self.shapes[k][i], node.layers[i], places[i]
            term_row = dict(layer.terms)
            turn_row = dict(layer.rotations)
            for m, mask in enumerate(shape.masks):
                bit = mask.bit_length() - 1
                rotated = mask == 1 << bit and bit in turn_row
                number = shape.bits.index(bit) if rotated else 0
                row = (
                    angle[term_row.get(mask, -1)], at + shape.at_turns + m,
                    angle[turn_row[bit] if rotated else -1], at + number, len(shape.bits), i,
                )  # fmt: skip
                for column, x in zip(columns, row, strict=True):
                    column.append(x)
        if columns[0]:
            with self.rows(len(columns[0])) as r:
                term, goal, turn, tangent, many, index = (self.numbers(c, r) for c in columns)
                out("W u = 0;")
                where = f"{ANGLE}, {k} << 8 | ({index} & 255), {self.time}, b"
                if any(x >= 0 for x in columns[0]):
                    out(f"const int term = {term};")
                    with out.block("if (term >= 0)"):
                        out("const F x = v[term];")
                        if report:
                            out(f"if (!good(x)) report(error, {where});")
                        out("u = turns(x);")
                if any(x >= 0 for x in columns[2]):
                    out(f"const int turn = {turn};")
                    with out.block("if (turn >= 0)"):
                        out("const F x = v[turn];")
                        if report:
                            out(f"if (!good(x)) report(error, {where});")
                        out("F rest, s, c;", "const U q = quarters(turns(x), rest);")
                        out("near_sincos(rest, s, c);")
                        out(f"const int at = {tangent}, many = {many};")
                        out("own[at] = quotient(s, c);", "own[at + many] = c;")
                        out("((W*)own)[at + 2 * many] = q & 1u;")
                        out("u += (W)(q & 1u) << QUARTER;")
                out(f"((W*)own)[{goal}] = u;")
            self.barrier()
        self._tables(node, k, part, places, scaled)
        self._words(node, k, part, places)
        self.barrier()
        if scaled in part:
            out(f"if (ln == 0) {self._norm(node.space)} = F(1);")
            self.clean = False

    def _tables(
        self, node: nodes.Circuit, k: int, part: list[int], places: dict[int, int], scaled: int
    ) -> None:
        """Entries of all tables of some layers, an entry to a thread, told apart by numbers."""
        out = self.out
        first = f"unit({self._norm(node.space)})"
        # Of each entry: its number in its table, the table's members, where it goes, and the
        # cosines it takes. Of each member: where its turns lie, and its parity over the number.
        numbers: list[int] = []
        begins: list[int] = []
        counts: list[int] = []
        goals: list[int] = []
        cosines: list[int] = []
        many: list[int] = []
        members: list[int] = []
        brings = ""  # entries that bring the norm back to one
        for i in part:
            shape, at = self.shapes[k][i], places[i]
            if not shape.tables and i == scaled:
                out(f"if (ln == 0) own[{at + shape.at_table(0)}] = {first};")
            for q, table in enumerate(shape.tables):
                size = 1 << table.bits
                takes = q == shape.smallest
                if takes and i == scaled:
                    brings = f"{{r}} - {len(numbers)}u < {size}u"
                numbers += range(size)
                begins += [len(members)] * size
                counts += [len(table.members)] * size
                goal = (at + shape.at_table(q)) // 2
                goals += range(goal, goal + size)
                cosines += [at + shape.at_cos] * size
                many += [len(shape.bits) if takes else 0] * size
                members += [(at + shape.at_turns + m) << 12 | x for m, x in table.members]
        if not numbers:
            return
        with self.rows(len(numbers)) as r:
            out(f"const U y = {self.numbers(numbers, r)};")
            out(f"const int first = {self.numbers(begins, r)};")
            out(f"const int goal = {self.numbers(goals, r)};")
            out("W u = 0;", "#pragma unroll 2")
            with out.block(f"for (int i = 0; i < {self.numbers(counts, r)}; ++i)"):
                out(f"const U m = {self.numbers(members, '(first + i)')};")
                out("u += turned(parity(m & 4095u & y), ((const W*)own)[m >> 12]);")
            out(f"F s = {f'{brings.format(r=r)} ? {first} : F(1)' if brings else 'F(1)'};")
            if any(many):
                out(f"const int cosines = {self.numbers(cosines, r)};", "#pragma unroll 2")
                with out.block(f"for (int i = 0; i < {self.numbers(many, r)}; ++i)"):
                    out("s *= own[cosines + i];")
            out("((C*)own)[goal] = phase(u, s);")

    def _words(self, node: nodes.Circuit, k: int, part: list[int], places: dict[int, int]) -> None:
        """Which qubits turn by more than half a turn: as an index, a slot, and table entries."""
        out, g = self.out, self.geometries[node.space]
        goals: list[int] = []
        flips: list[int] = []
        counts: list[int] = []
        begins: list[int] = []
        bits: list[int] = []
        for i in part:
            shape, at = self.shapes[k][i], places[i]
            if not shape.bits:
                continue
            back = shape.map.inverse()
            values = [
                [1 << b, g.slot(back.linear(1 << b)), *(t.entry(1 << b) for t in shape.tables)]
                for b in shape.bits
            ]
            for j in range(2 + len(shape.tables)):
                goals.append(at + shape.at_words + j)
                flips.append(at + shape.at_flip)
                counts.append(len(shape.bits))
                begins.append(len(bits))
                bits += [v[j] for v in values]
        if not goals:
            return
        # From the other end of the group: the first threads have entries to make.
        group = self.mapping.group
        last = f"({group - 1}u - ln)"
        with self.rows(len(goals), last) as r:
            out("U f = 0;")
            out(f"const int flips = {self.numbers(flips, r)}, at = {self.numbers(begins, r)};")
            out("#pragma unroll 2")
            with out.block(f"for (int i = 0; i < {self.numbers(counts, r)}; ++i)"):
                bit = self.numbers(bits, "(at + i)")
                out(f"f ^= (0u - (U)((const W*)own)[flips + i]) & {bit};")
            out(f"((W*)own)[{self.numbers(goals, r)}] = f;")

    # --- forward

    def _swap(self, s: int, both: bool) -> None:
        """A layer in global memory leaves the state in the other buffer."""
        if not self.mapping.shared:
            for x in "PQ" if both else "P":
                self.out(f"{{ C* const x = {x}{s}; {x}{s} = {x}{s}x; {x}{s}x = x; }}")

    def _red(self) -> int:
        """Where the next sums gather: two places in turn, as one may still be read."""
        self.turn ^= 1
        return self.memory.sums + self.turn * self.memory.sums_room

    def _at(self, number: int) -> str:
        """A place among the sequence's own numbers, in bytes."""
        return f"mine + {number * self.mapping.size}u"

    def circuit_forward(self, node: nodes.Circuit, read: bool, report: bool) -> None:
        out, s, k = self.out, node.space, self._number_of(node)
        g = self.geometries[s]
        if node.reset >= 0:
            self._reset(s, node.reset)
        read = read and bool(node.masks)
        red = self._red() if read else 0
        # A pass over global memory less: the last layer has the amplitudes at hand.
        along = read and not self.mapping.shared and bool(node.layers)
        for part in self._batches(k):
            scaled = 0 if node.renormalise and part[0] == 0 else -1
            self._prepare(node, k, part, scaled, report)
            for i, at in self._places(k, part).items():
                self.forget()
                here = along and i == len(node.layers) - 1
                reads = node.masks if here else ()
                name = self.layers.forward(self.shapes[k][i], g, i == scaled, reads)
                sums = self._at(red) if here else "mine"
                out(self.layers.call(name, s, self._at(at), sums))
                self._swap(s, False)
                self.forget()
        if read and not along:
            name = self.layers.read(node.masks, g)
            out(self.layers.call(name, s, "mine", self._at(red)))
            self.barrier(far=True)
        if read:
            self._readouts(node, red)

    def _reset(self, s: int, state: int) -> None:
        """A basis state, and no costate."""
        out, g = self.out, self.geometries[s]
        held = self.mapping.group if self.mapping.shared else 1 << g.threads
        mine = "ln" if self.mapping.shared else "tid"
        size = 1 << g.local
        slot = g.slot(state)
        with out.rolled(f"for (U i = {mine}; i < {size}u; i += {held}u)"):
            one = f"F(i == {slot & (size - 1)}u)"
            if self.mapping.cluster and self.mapping.shared:
                one = f"F(i == {slot & (size - 1)}u && rank == {slot >> g.local}u)"
            where = f"*(C*)(smem + h{s} + i * {2 * g.size}u)" if g.shared else f"P{s}[i]"
            with self.layers._if_on(out):
                out(f"C x; x.x = {one}; x.y = F(0); {where} = x;")
        self.barrier(far=True)

    def clear_costate(self, s: int) -> None:
        out, g = self.out, self.geometries[s]
        held = self.mapping.group if self.mapping.shared else 1 << g.threads
        mine = "ln" if self.mapping.shared else "tid"
        with out.rolled(f"for (U i = {mine}; i < {1 << g.local}u; i += {held}u)"):
            where = (
                f"*(C*)(smem + (h{s} + i * {2 * g.size}u ^ {g.bytes}u))" if g.shared
                else f"Q{s}[i]"
            )  # fmt: skip
            with self.layers._if_on(out):
                out(f"C x; x.x = F(0); x.y = F(0); {where} = x;")
        self.barrier(far=True)

    def _readouts(self, node: nodes.Circuit, red: int) -> None:
        """What has been summed, as values."""
        out, s, count = self.out, node.space, len(node.masks)
        with out.block(""):
            out(f"F* const red = own + {red};")
            with self.rows(count) as r:
                total = self.layers.total(out, r, count)
                # Sequences that rest keep numbers that are ordinary.
                if self.mapping.group < 32:
                    out(f"if (!on) {total} = F(1);")
                out(f"{self.value(node.out, r)} = {total};")
                out(f"if ({r} == 0) {self._norm(s)} = {total};")
        self.writes("v", node.out, True)

    # --- backward

    def locals_run(self, body: tuple[nodes.Node, ...]) -> None:
        """States that live only in this body, at its end: needed to walk back through it."""
        for node in body:
            if isinstance(node, nodes.Circuit) and self.plan.local[node.space]:
                self.circuit_forward(node, read=False, report=False)
                if node.reset >= 0:
                    self.clear_costate(node.space)

    def circuit_backward(self, node: nodes.Circuit) -> None:
        s, k = node.space, self._number_of(node)
        if node.layers:
            self._layers_back(node, k)
        elif node.masks:
            self._settle(node)
        if node.reset >= 0 and not self.plan.local[s]:
            # What was before is not this state's.
            if not self.clean:
                self.barrier()
            self.clear_costate(s)

    def _given(self, node: nodes.Circuit) -> str:
        return f"a + {self.memory.row_of[node.out]}"

    def _settle(self, node: nodes.Circuit) -> None:
        if not self.clean:
            self.barrier()
        name = self.layers.settle(node.masks, self.geometries[node.space])
        self.out(self.layers.call(name, node.space, "mine", "mine", self._given(node)))
        self.barrier(far=True)

    def _layers_back(self, node: nodes.Circuit, k: int) -> None:
        out, s = self.out, node.space
        g = self.geometries[s]
        last = len(node.layers) - 1
        for part in reversed(self._batches(k)):
            scaled = last if node.renormalise and last in part else -1
            self._prepare(node, k, part, scaled, False)
            if not self.clean:
                self.barrier()
            places = self._places(k, part)
            for i in reversed(part):
                shape = self.shapes[k][i]
                seeds = node.masks if i == last else ()
                norm = node.renormalise and i == 0
                red = self._red()
                name = self.layers.backward(shape, g, i == scaled, seeds)
                more = ["true" if norm else "false", *([self._given(node)] if seeds else [])]
                self.forget()
                out(self.layers.call(name, s, self._at(places[i]), self._at(red), *more))
                self._swap(s, True)
                self.forget()
                self._finish(node, shape, i, places[i], red, norm)

    def _finish(
        self, node: nodes.Circuit, shape: Shape, index: int, at: int, red: int, norm: bool
    ) -> None:
        """The gradients of a layer's angles."""
        out = self.out
        layer = node.layers[index]
        turn_row = dict(layer.rotations)
        rows = [turn_row[b] for b in shape.bits] + [r for _, r in layer.terms]
        turns, count = len(shape.bits), len(rows)
        if not count and not norm:
            return
        with out.block(""):
            out(f"F* const red = own + {red};")
            with self.rows(count + norm) as r:
                total = self.layers.total(out, r, shape.sums)
                keep = out.depth
                if norm:
                    rest = f"if ({r} == {count}u) {self._norm(node.space)} = "
                    out(f"{rest}{'on ? ' + total + ' : F(1)'};")
                with out.block(f"if ({r} < {count}u)" if norm else ""):
                    if turns:
                        out("#pragma unroll")
                        with out.block(f"for (U k = 0; k < {turns}u; ++k)"):
                            cosine = f"own[{at + shape.at_cos} + k]"
                            out(f"const F c = k < {r} ? {cosine} : F(1);", f"{total} *= c * c;")
                    if turns and shape.terms:
                        masks = [0] * turns + list(shape.terms)
                        flips = f"(U)((const W*)own)[{at + shape.at_words}]"
                        mask = self.numbers(masks, r)
                        out(f"{total} = signed_by(parity((U){mask} & {flips}), {total});")
                    if count:
                        where = (
                            f"a[{self.numbers([self.addresses(node.angles)[x] for x in rows], r)}]"
                        )
                        out(f"if (on) {where} += {total};")
                assert out.depth == keep
        self.writes("a", node.angles)
