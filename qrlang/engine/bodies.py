"""What every printer asks of a plan's bodies: which nodes, which slots, what is kept of a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qrlang.engine import nodes
from qrlang.engine.nodes import Plan


def walk_nodes(body: tuple[nodes.Node, ...]) -> list[nodes.Node]:
    out: list[nodes.Node] = []
    for node in body:
        out.append(node)
        if isinstance(node, nodes.Loop):
            out += walk_nodes(node.body)
    return out


Together = tuple[tuple[int, int], ...]
"""Of each sequence that a loop walks along: the input that it is as long as, and how many moments
more."""


def together(plan: Plan) -> list[Together]:
    """Of the loops that walk along several."""
    found = []
    for node in walk_nodes(plan.body):
        if isinstance(node, nodes.Loop):
            walked = [(node.clock, node.grown)]
            for view, _ in node.items:
                made = view.source < 0
                walked.append(plan.sequences[-1 - view.source][1:] if made else (view.source, 0))
            found.append(tuple(dict.fromkeys(walked)))
    return [walked for walked in found if len(walked) > 1]


def check_times(plan: Plan, loops: Sequence[Together], times: Mapping[int, int]) -> None:
    """Sequences that one loop walks along are equally long."""
    for (first, more), *others in loops:
        for other, grown in others:
            if times[other] + grown != times[first] + more:
                names = f"`{plan.inputs[first].name}`, `{plan.inputs[other].name}`"
                raise ValueError(f"{names}: walked along together, and not equally long")


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
