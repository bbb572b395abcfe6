"""What every printer asks of a plan's bodies: which nodes, which slots, what is kept of a step."""

from __future__ import annotations

from qrlang.engine import nodes
from qrlang.engine.nodes import Plan


def walk_nodes(body: tuple[nodes.Node, ...]) -> list[nodes.Node]:
    out: list[nodes.Node] = []
    for node in body:
        out.append(node)
        if isinstance(node, nodes.Loop):
            out += walk_nodes(node.body)
    return out


def loop_rows(loop: nodes.Loop, plan: Plan) -> list[tuple[int, int]]:
    """Slots that are kept for every step, with their rows: carries and readouts."""
    kept = [(c.arg, plan.slots[c.arg]) for c in loop.carries]
    kept += [
        (n.out, plan.slots[n.out]) for n in loop.body if isinstance(n, nodes.Circuit) and n.masks
    ]
    return kept


def outputs_of(node: nodes.Node) -> list[int]:
    if isinstance(node, nodes.Loop):
        return [c.out for c in node.carries]
    if isinstance(node, nodes.Circuit):
        return [node.out] if node.masks else []
    return [node.out]  # type: ignore[attr-defined]


def body_slots(loop: nodes.Loop) -> list[int]:
    """Slots that a loop's body defines."""
    found = [s for _, s in loop.items] + [c.arg for c in loop.carries]
    if loop.flag >= 0:
        found.append(loop.flag)
    for node in loop.body:
        found += outputs_of(node)
    return sorted(set(found))
