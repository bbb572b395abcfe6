"""Who uses which slot: what can be done where its argument is made, and whose adjoint need not be
cleared as one node alone sets all of it first."""

from __future__ import annotations

from qrlang.engine import nodes
from qrlang.engine.bodies import body_slots
from qrlang.engine.cuda import functions
from qrlang.engine.nodes import Plan

Place = tuple[int, int]


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
    def __init__(self, plan: Plan, renamed: dict[int, tuple[Place, ...]]) -> None:
        self.plan, self.renamed = plan, renamed
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
                if a in self.renamed or count[a] != count[node.out]:
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

    def set_whole(self, loop: nodes.Loop) -> set[int]:
        """Slots of a body whose adjoint is first set by one node, all rows of it at once."""
        taken = {s for c in loop.carries for s in self._real(c.next)}
        taken |= {s for slot, _ in loop.emits for s in self._real(slot)}
        first: dict[int, bool] = {}  # from the end: does who comes first set all of it
        for node in reversed(loop.body):
            if getattr(node, "out", -1) in self.renamed or self.unmade(node):
                continue
            direct = _direct(node)
            if isinstance(node, nodes.Linear) and node.x in self.before:
                direct = list(self.before[node.x].args)
            for slot in direct:
                whole = slot not in self.renamed and self._whole(node, slot, direct)
                for s in self._real(slot):
                    first.setdefault(s, whole)
        return {s for s in body_slots(loop) if first.get(s) and s not in taken}

    def _whole(self, node: nodes.Node, slot: int, direct: list[int]) -> bool:
        if direct.count(slot) > 1:
            return False
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
