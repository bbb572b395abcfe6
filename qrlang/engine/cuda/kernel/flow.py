"""Who uses which slot: what can be done where its argument is made, and whose adjoint need not be
cleared as one node alone sets all of it first."""

from __future__ import annotations

from qrlang.engine import nodes
from qrlang.engine.bodies import body_slots
from qrlang.engine.cuda.kernel import functions
from qrlang.engine.nodes import Plan
from qrlang.engine.renamed import Place


def _direct(node: nodes.Node) -> list[int]:
    """Slots that a node names as what it works on."""
    match node:
        case nodes.Rows():
            return [s for row in node.rows for _, s, _ in row.terms]
        case nodes.Copy():
            return [source for _, source, _, _ in node.parts]
        case nodes.Map():
            return list(node.args)
        case nodes.Matmul():
            return [node.a, node.b]
        case nodes.Linear() | nodes.Embed() | nodes.Dropout():
            return [node.x]
        case nodes.Circuit():
            return [node.angles] if node.layers else []
        case nodes.Loop():
            found = [c.initial for c in node.carries]
            for inner in node.body:
                found += _direct(inner)
            return found + [c.next for c in node.carries] + [s for s, _ in node.emits]
    return []


class Flow:
    def __init__(
        self, plan: Plan, renamed: dict[int, tuple[Place, ...]], apart: tuple[str, ...] = ()
    ) -> None:
        """`apart`: functions that are not made along with a product."""
        self.plan, self.renamed, self.apart = plan, renamed, apart
        # By the slot of a product: the function of it, made along with it.
        self.after: dict[int, nodes.Map] = {}
        # By the slot of a function that a product alone uses: its way back is part of the
        # product's.
        self.before: dict[int, nodes.Map] = {}
        self.unread: set[int] = set()  # a product's numbers that only such a function uses
        self.users: dict[int, int] = {}
        for y in plan.outputs:
            if not y.seq:
                self._use(y.slot)
        for kept in plan.kept:
            self._use(kept.angles)
        self._walk(plan.body)
        self._pair(plan.body)

    def _real(self, slot: int) -> set[int]:
        return {s for s, _ in self.renamed[slot]} if slot in self.renamed else {slot}

    def _use(self, slot: int) -> None:
        for s in self._real(slot):
            self.users[s] = self.users.get(s, 0) + 1

    def _walk(self, body: tuple[nodes.Node, ...]) -> None:
        for node in body:
            if getattr(node, "out", -1) in self.renamed:
                continue
            if isinstance(node, nodes.Loop):
                self._walk(node.body)
                for c in node.carries:
                    self._use(c.initial)
                    self._use(c.next)
                for slot, _ in node.emits:
                    self._use(slot)
            else:
                for slot in _direct(node):
                    self._use(slot)

    def _pair(self, body: tuple[nodes.Node, ...]) -> None:
        count = self.plan.slots
        products: dict[int, nodes.Linear] = {}
        maps: dict[int, nodes.Map] = {}
        for node in body:
            if isinstance(node, nodes.Loop):
                self._pair(node.body)
            elif isinstance(node, nodes.Map) and len(node.args) == 1:
                a = node.args[0]
                if a in self.renamed or count[a] != count[node.out] or node.fn in self.apart:
                    continue
                maps[node.out] = node
                if a in products and a not in self.after:
                    self.after[a] = node
                    needed = functions.adjoint(node.fn, ["@"], "y", "d")[0]
                    if self.users[a] == 1 and "@" not in (needed or ""):
                        self.unread.add(a)
            elif isinstance(node, nodes.Linear):
                products[node.out] = node
                x = maps.get(node.x)
                if x and self.users[node.x] == 1 and functions.adjoint(x.fn, ["a"], "y", "d")[0]:
                    self.before[node.x] = x

    def made(self, node: nodes.Node) -> bool:
        """Is this function made along with its argument."""
        return isinstance(node, nodes.Map) and self.after.get(node.args[0]) is node

    def unmade(self, node: nodes.Node) -> bool:
        return isinstance(node, nodes.Map) and self.before.get(node.out) is node

    def _places(self, slot: int) -> list[Place]:
        return list(self.renamed.get(slot) or ((slot, k) for k in range(self.plan.slots[slot])))

    def set_whole(self, loop: nodes.Loop) -> tuple[set[int], set[Place]]:
        """Slots of a body whose adjoint is first set by one node, all rows of it at once; and these
        rows."""
        sole: set[int] = set()
        found: set[Place] = set()
        ends = [c.next for c in loop.carries] + [slot for slot, _ in loop.emits]
        seen = {x for slot in ends for x in self._places(slot)}
        own = set(body_slots(loop))
        for node in reversed(loop.body):
            if getattr(node, "out", -1) in self.renamed or self.unmade(node):
                continue
            direct = _direct(node)
            if isinstance(node, nodes.Linear) and node.x in self.before:
                direct = list(self.before[node.x].args)
            places = [x for slot in direct for x in self._places(slot)]
            if len(set(places)) == len(places) and not isinstance(node, nodes.Loop):
                for slot in direct:
                    rows = self._places(slot)
                    inside = all(s in own for s, _ in rows) and not seen.intersection(rows)
                    if inside and self._whole(node, slot, direct):
                        sole.add(slot)
                        found.update(rows)
            seen.update(places)
        return sole, found

    def _whole(self, node: nodes.Node, slot: int, direct: list[int]) -> bool:
        if isinstance(node, nodes.Map):
            if self.plan.slots[slot] != self.plan.slots[node.out]:
                return False
            parts = functions.adjoint(node.fn, ["a", "b", "c"][: len(direct)], "y", "d")
            return parts[direct.index(slot)] is not None
        return isinstance(node, (nodes.Linear, nodes.Dropout, nodes.Matmul))

    def bare(self, loop: nodes.Loop) -> set[int]:
        """Slots of a body without an adjoint that anyone reads or adds to."""
        found = {s for s in body_slots(loop) if s in self.renamed or s in self.before}
        return found | {c.arg for c in loop.carries if not self.users.get(c.arg)}
