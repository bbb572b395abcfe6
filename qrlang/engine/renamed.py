"""Slots that only rename rows of others: gathers and concatenations that a printer with addresses
to choose from need not do."""

from __future__ import annotations

from itertools import pairwise

from qrlang.engine import nodes
from qrlang.engine.bodies import walk_nodes
from qrlang.engine.nodes import Plan

Place = tuple[int, int]  # slot, row
RUNS = 4  # of a slot that a product walks along


def renamed(plan: Plan) -> dict[int, tuple[Place, ...]]:
    """For each such slot: where its rows really are. No row is there twice, so that what is added
    to one of them is added by one alone."""
    every = walk_nodes(plan.body)
    dense: set[int] = set()
    for n in every:
        if isinstance(n, nodes.Linear):
            dense.add(n.x)
        elif isinstance(n, nodes.Matmul):
            dense |= {n.a, n.b}
    found: dict[int, tuple[Place, ...]] = {}
    for node in every:
        places: list[Place] = []
        if isinstance(node, nodes.Rows):
            if all(not r.constant and len(r.terms) == 1 and r.terms[0][0] == 1 for r in node.rows):
                places = [(s, k) for r in node.rows for _, s, k in r.terms]
        elif isinstance(node, nodes.Copy):
            by_row = {
                to + i: (source, first + i)
                for to, source, first, count in node.parts
                for i in range(count)
            }
            if len(by_row) == plan.slots[node.out]:
                places = [by_row[i] for i in range(len(by_row))]
        if not places or not isinstance(node, (nodes.Rows, nodes.Copy)):
            continue
        places = [found[s][k] if s in found else (s, k) for s, k in places]
        breaks = sum(b != (a[0], a[1] + 1) for a, b in pairwise(places))
        if len(set(places)) == len(places) and (node.out not in dense or breaks < RUNS):
            found[node.out] = tuple(places)
    return found
