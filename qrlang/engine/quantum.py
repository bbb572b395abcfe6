"""Lowers quantum ops: which qubits make a space, where circuits begin and end, what is read."""

from __future__ import annotations

import copy
from itertools import combinations
from typing import Any

from qrlang.engine import nodes
from qrlang.engine.gf2 import Affine as IndexMap
from qrlang.engine.layers import Builder, Draft
from qrlang.engine.lower import (
    Sum,
    Unsupported,
    from_z,
    lower_element,
    number,
    pauli_rotation,
    to_z,
)
from qrlang.engine.scope import Lowering
from qrlang.ir import program as ir
from qrlang.ir.pauli import all_commute
from qrlang.ir.walk import qubits_of, walk

MAX_QUBITS = 24
Crossing = tuple[int, int, int, tuple[int, ...]]  # slots: initial, arg, out; masks
Waiting = tuple[IndexMap, Crossing | None]


class Space:
    def __init__(self, n: int) -> None:
        self.builder = Builder(n)
        self.reset = -1  # the basis state that the next circuit begins at
        self.touched = False  # has anything happened since the reset
        self.alive: set[int] = set()
        self.freed: set[int] = set()
        self.renormalise = False


class Spaces:
    def __init__(self, low: Lowering) -> None:
        self.low = low
        self.outer: list[list[Space]] = []
        self.qubits = [qubits for _, qubits in sorted(low.program.spaces.items())]
        self.of: dict[int, tuple[int, int]] = {
            q: (s, i) for s, qs in enumerate(self.qubits) for i, q in enumerate(qs)
        }
        self.sizes = tuple(len(qs) for qs in self.qubits)
        for n in self.sizes:
            if n > MAX_QUBITS:
                raise Unsupported(f"more than {MAX_QUBITS} qubits in one state")
        self.state = [Space(n) for n in self.sizes]
        self.local = [False] * len(self.sizes)

    def _space(self, qubits: tuple[int, ...]) -> tuple[int, dict[int, int]]:
        found = {self.of[q][0] for q in qubits}
        if len(found) != 1:
            raise Unsupported("one operation on qubits of two spaces")
        s = found.pop()
        return s, {q: self.of[q][1] for q in self.qubits[s]}

    # --- ops

    def lower(self, op: ir.Op) -> None:
        match op:
            case ir.Alloc():
                if op.mixed:
                    raise Unsupported("maximally mixed qubits")
                for q in op.qubits:
                    s, _ = self.of[q]
                    self._alloc(s, q)
            case ir.Free():
                for q in op.qubits:
                    space = self.state[self.of[q][0]]
                    space.freed.add(q)
            case ir.Unitary():
                for element in op.elements:
                    touched = qubits_of(element)
                    if not touched:
                        continue
                    s, bit = self._space(touched)
                    self.state[s].touched = True
                    lower_element(self.state[s].builder, element, bit, self.low.angle)
            case ir.Evolve():
                self._evolve(op)
            case ir.Expect():
                self._expect(op)
            case ir.Probabilities():
                self._probabilities(op)

    def _alloc(self, s: int, q: int) -> None:
        space = self.state[s]
        if space.alive <= space.freed and space.alive:
            # Everything that was there is gone. A new life is a new space: going backwards, the
            # state of the old one is needed again.
            self.close(s)
            self.qubits.append(self.qubits[s])
            self.sizes = (*self.sizes, self.sizes[s])
            self.local.append(False)
            self.state.append(Space(self.sizes[s]))
            s = len(self.state) - 1
            self.of.update({p: (s, i) for i, p in enumerate(self.qubits[s])})
            space = self.state[s]
        if not space.alive:
            space.reset = 0
            space.renormalise = False
            space.builder = Builder(self.sizes[s])
            self.local[s] = self.local[s] or bool(self.outer)
        elif q in space.alive:
            raise Unsupported("qubits that are begun anew while others of their state live on")
        space.alive.add(q)

    def _evolve(self, op: ir.Evolve) -> None:
        if op.trotter == 0 and not all_commute(string for _, string in op.terms):
            raise Unsupported("exact evolution under terms that do not commute")
        repeats = max(1, op.trotter)
        angles = []
        for coefficient, string in op.terms:
            rate, span = self.low.angle(coefficient), self.low.angle(op.time)
            angles.append((self._product(rate, span) * (2.0 / repeats), string))
        for _ in range(repeats):
            for turn, string in angles:
                if not string:
                    continue
                s, bit = self._space(tuple(q for q, _ in string))
                self.state[s].touched = True
                pauli_rotation(self.state[s].builder, [(bit[q], p) for q, p in string], turn)

    def _product(self, a: Sum, b: Sum) -> Sum:
        if not a.terms:
            return b * a.constant
        if not b.terms:
            return a * b.constant
        low = self.low
        return Sum(0.0, (((low.map("mul", low.sums([a]), low.sums([b])), 0), 1.0),))

    def _expect(self, op: ir.Expect) -> None:
        if op.shots or op.weak:
            raise Unsupported("a sampled readout" if op.shots else "a weak readout")
        strings: dict[ir.PauliString, Sum] = {}
        for observable in op.observables:
            for _, string in observable:
                if string:
                    strings.setdefault(string, Sum())
        by_space: dict[int, list[ir.PauliString]] = {}
        for string in strings:
            s, _ = self._space(tuple(q for q, _ in string))
            by_space.setdefault(s, []).append(string)
        for s, wanted in by_space.items():
            for basis, group in _settings(wanted):
                strings.update(self._read(s, basis, group))
        totals = []
        for observable in op.observables:
            total = Sum()
            for factor, string in observable:
                total = total + (strings[string] * factor if string else number(factor))
            totals.append(total)
        self.low.env[op.out.id] = self.low.sums(totals)

    def _read(
        self, s: int, basis: dict[int, str], group: list[ir.PauliString]
    ) -> dict[ir.PauliString, Sum]:
        bit = {q: self.of[q][1] for q in self.qubits[s]}
        builder = self.state[s].builder
        turned = [(bit[q], p) for q, p in sorted(basis.items()) if p != "Z"]
        to_z(builder, turned)
        masks = [0]
        signs = []
        for string in group:
            mask, sign = builder.map.pull(sum(1 << bit[q] for q, _ in string))
            masks.append(mask)
            signs.append(float(sign))
        distinct = tuple(dict.fromkeys(masks))
        out = self.low.slot(len(distinct))
        self.close(s, distinct, out)
        from_z(builder, turned)
        return {
            string: Sum(0.0, (((out, distinct.index(mask)), sign),))
            for string, mask, sign in zip(group, masks[1:], signs, strict=True)
        }

    def _probabilities(self, op: ir.Probabilities) -> None:
        if op.shots:
            raise Unsupported("a sampled distribution")
        k = len(op.qubits)
        if k > 8:
            raise Unsupported("a distribution over more than 8 qubits")
        subsets = [c for size in range(1, k + 1) for c in combinations(range(k), size)]
        s, _ = self._space(op.qubits)
        strings = [tuple(sorted((op.qubits[i], "Z") for i in c)) for c in subsets]
        found = self._read(s, {}, strings)
        totals = []
        for x in range(1 << k):
            total = number(1 / 2**k)
            for c, string in zip(subsets, strings, strict=True):
                sign = (-1) ** sum(x >> (k - 1 - i) & 1 for i in c)
                total = total + found[string] * (sign / 2**k)
            totals.append(total)
        self.low.env[op.out.id] = self.low.sums(totals)

    # --- circuits

    def close(self, s: int, masks: tuple[int, ...] = (), out: int = -1) -> None:
        """Writes what has gathered on a space as one node, read at its end if `masks`."""
        space = self.state[s]
        drafts = space.builder.take()
        if not drafts and not masks and space.reset < 0:
            return
        sums: list[Sum] = []
        layers = [self._layer(d, sums) for d in drafts]
        angles = self.low.sums(sums)
        self.low.add(
            nodes.Circuit(
                s, space.reset, angles, tuple(layers), masks, out,
                space.renormalise and bool(layers), self._name(s),
            )
        )  # fmt: skip
        if layers:
            space.renormalise = False
        space.reset = -1

    def _name(self, s: int) -> str:
        own = set(self.qubits[s])
        named = [r.name for r in self.low.program.registers if r.start in own and r.size]
        return ", ".join(f"`{name}`" for name in named)

    @staticmethod
    def _layer(draft: Draft, sums: list[Sum]) -> nodes.Layer:
        def row(total: Sum) -> int:
            sums.append(total)
            return len(sums) - 1

        return nodes.Layer(
            draft.map,
            tuple((mask, row(total)) for mask, total in draft.terms.items()),
            tuple((b, row(total)) for b, total in sorted(draft.rotations.items())),
        )

    def close_all(self) -> None:
        for s in range(len(self.state)):
            self.close(s)

    # --- loops: what crosses the step

    def used_from_outside(self, body: tuple[ir.Op, ...]) -> list[int]:
        """Spaces that a body works on and that were begun before it."""
        used: set[int] = set()
        begun: set[int] = set()
        for op in walk(body):
            spaces = {self.of[q][0] for q in qubits_of(op)}
            if isinstance(op, ir.Alloc):
                begun |= spaces
            else:
                used |= spaces
        return sorted(s for s in used - begun)

    def mark(self) -> Any:
        return copy.deepcopy((self.state, self.local, self.outer, self.of, self.qubits, self.sizes))

    def rewind(self, mark: Any) -> None:
        self.state, self.local, self.outer, self.of, self.qubits, self.sizes = mark

    def enter(self, crossing: dict[int, Waiting]) -> None:
        """Into the body of a loop: what the step before has left waits."""
        self.outer.append(list(self.state))
        for s, space in enumerate(self.state):
            alive, freed = space.alive, space.freed
            self.state[s] = new = Space(self.sizes[s])
            new.alive, new.freed = set(alive), set(freed)
            new.renormalise = True
            if s in crossing:
                new.builder.map, carry = crossing[s]
                if carry is not None:
                    _, arg, _, masks = carry
                    for i, mask in enumerate(masks):
                        new.builder.terms[mask] = Sum(0.0, (((arg, i), 1.0),))

    def leftover(self, s: int) -> Draft | None:
        """What waits after the last rotations of a body; None if it has no rotations."""
        builder = self.state[s].builder
        if not builder.rotated:
            return None
        terms = {m: a for m, a in builder.terms.items() if m and not a.zero}
        return Draft(builder.map, terms)

    def hand_in(self, s: int, leftover: Draft | None) -> None:
        """Before the loop: nothing may wait, except what the first step takes along."""
        space = self.state[s]
        if leftover is not None and not leftover.map.trivial:
            space.builder.move(leftover.map.inverse())
        if space.builder.waiting:
            fresh = space.reset >= 0 and not space.builder.layers
            if fresh and not any(not a.zero for a in space.builder.terms.values()):
                space.reset = space.builder.map(space.reset)
                space.builder.map = IndexMap.identity(self.sizes[s])
            else:
                space.builder.flush()
        self.close(s)

    def leave(self, s: int, carry: Crossing | None, crosses: bool) -> int:
        """At the end of the body: the angles of what crosses, as a slot."""
        builder = self.state[s].builder
        if not crosses:
            if builder.waiting:
                builder.flush()
            self.close(s)
            return -1
        terms = {m: a for m, a in builder.terms.items() if m and not a.zero}
        builder.terms = {}
        self.close(s)
        if carry is None:
            return -1
        masks = carry[3]
        assert set(terms) == set(masks)
        return self.low.sums([terms[m] for m in masks])

    def end_body(self) -> None:
        for s, space in enumerate(self.state):
            if space.builder.layers or space.reset >= 0:
                self.close(s)
        # Spaces begun inside end with the body; the others are as they were.
        outer = self.outer.pop()
        self.state = outer + [Space(n) for n in self.sizes[len(outer) :]]

    def hand_out(self, s: int, leftover: Draft | None, carry: Crossing | None) -> None:
        """After the loop: what the last step has left waits."""
        alive, freed = self.state[s].alive, self.state[s].freed
        self.state[s] = space = Space(self.sizes[s])
        space.alive, space.freed = alive, freed
        if leftover is not None:
            space.builder.map = leftover.map
            if carry is not None:
                _, _, out, masks = carry
                for i, mask in enumerate(masks):
                    space.builder.terms[mask] = Sum(0.0, (((out, i), 1.0),))


def _settings(
    strings: list[ir.PauliString],
) -> list[tuple[dict[int, str], list[ir.PauliString]]]:
    """Strings that can be read together, greedily, each group with the letter of each qubit."""
    groups: list[tuple[dict[int, str], list[ir.PauliString]]] = []
    for string in strings:
        for basis, members in groups:
            if all(basis.get(q, p) == p for q, p in string):
                basis.update(dict(string))
                members.append(string)
                break
        else:
            groups.append((dict(string), [string]))
    # What is read without turning comes first.
    return sorted(groups, key=lambda g: any(p != "Z" for p in g[0].values()))
