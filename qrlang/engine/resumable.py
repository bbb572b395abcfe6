"""A program that can be stopped after any moment and go on from there: its quantum states and what
it carries are given to it, and left by it.

What it carries becomes inputs and outputs of the program. A state of qubits lies in the memory of
the call: see `Kept`, and `qrlang.engine.cpu.launch.carried`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from qrlang.engine.lower import Unsupported
from qrlang.engine.nodes import Circuit, Kept, Loop, Node
from qrlang.engine.quantum import Spaces
from qrlang.engine.scope import Lowering
from qrlang.ir import program as ir
from qrlang.ir.said import said
from qrlang.ir.walk import defs, next_id, qubits_of, uses, walk

_WHOLE = (ir.Shift, ir.Reverse, ir.Last, ir.Pool, ir.SoftmaxOver, ir.WeightedSum, ir.Attend)


def why_not(program: ir.Program) -> str:
    """What keeps a program from being run in segments; "" if nothing does."""
    loops = [op for op in program.body if isinstance(op, ir.Loop)]
    if not loops:
        return "it has no recurrence"
    for op in walk(program.body):
        if isinstance(op, _WHOLE):
            return f"{said(op)} needs the whole sequence"
    if any(op.extra for op in loops):
        return "its steps go on after the end of the sequence"
    if not all(o.value.type.seq for o in program.outputs):
        return "its output comes at the end (`return`), and not at every step (`emit`)"
    seen: set[int] = set()
    for op in loops:
        if _by_shot(op):
            return "it carries measured bits on, which differ from shot to shot"
        mine = {q for inner in walk(op.body) for q in qubits_of(inner)} & _outside(program)
        if mine & seen:
            return "two recurrences work on the same qubits"
        seen |= mine
        after = program.body[program.body.index(op) + 1 :]
        if any(
            set(qubits_of(later)) & mine
            for later in after
            if not isinstance(later, (ir.Free, ir.Loop))
        ):
            return "its qubits are used after the recurrence"
    return ""


def _by_shot(loop: ir.Loop) -> bool:
    """Whether something is carried that is made of bits measured in the step."""
    bits: set[int] = set()
    for op in walk(loop.body):
        made_of_bits = any(v.id in bits for v in uses(op)) and not qubits_of(op)
        if isinstance(op, ir.Measure) or made_of_bits:
            bits |= {v.id for v in defs(op)}
    return any(c.next.id in bits for c in loop.carries)


def _outside(program: ir.Program) -> set[int]:
    """Qubits that live from step to step."""
    return {q for op in program.body if isinstance(op, ir.Alloc) for q in op.qubits}


@dataclass(frozen=True, slots=True)
class Opened:
    program: ir.Program
    carries: tuple[str, ...]  # outputs (and inputs) that are what the program carries


def opened(program: ir.Program, needed: set[int], going_on: bool) -> Opened:
    """What it carries as outputs; `going_on`: as inputs too, in place of how it begins.
    `needed`: the values that anything reads."""
    number = next_id(program)
    inputs: list[ir.Value] = []
    outputs: list[ir.Output] = []
    body: list[ir.Op] = []
    names: list[str] = []
    for op in program.body:
        if not isinstance(op, ir.Loop):
            body.append(op)
            continue
        carries = []
        for c in op.carries:
            if {c.arg.id, c.out.id} & needed:
                name = f"carry.{len(names)}"
                names.append(name)
                outputs.append(ir.Output(name, c.out))
                if going_on:
                    given = ir.Value(number, c.out.type, name)
                    number += 1
                    inputs.append(given)
                    c = replace(c, initial=given)
            carries.append(c)
        body.append(replace(op, carries=tuple(carries)))
    made = replace(
        program, inputs=(*program.inputs, *inputs), outputs=(*program.outputs, *outputs),
        body=tuple(body),
    )  # fmt: skip
    return Opened(made, tuple(names))


# --- the plan -----------------------------------------------------------------------------------


def left(low: Lowering, spaces: Spaces) -> tuple[Kept, ...]:
    """At the end of a plan: the spaces that live from step to step, as they were begun."""
    found: list[Kept] = []
    seen: set[int] = set()
    for op in low.program.body:
        for q in op.qubits if isinstance(op, ir.Alloc) else ():
            s = spaces.of[q][0]
            if s in seen:
                continue
            seen.add(s)
            builder = spaces.state[s].builder
            if builder.layers:
                raise Unsupported("gates after the recurrence")
            terms = {m: a for m, a in builder.terms.items() if m and not a.zero}
            slot = low.sums(list(terms.values()))
            found.append(Kept(s, builder.map, tuple(terms), slot))
    return tuple(found)


def without_beginning(body: tuple[Node, ...], spaces: set[int]) -> tuple[Node, ...]:
    """The states are given: what would begin them is left out."""
    begun: set[int] = set()
    out = []
    for node in body:
        if isinstance(node, Loop):
            begun |= {n.space for n in node.body if isinstance(n, Circuit)}
        if isinstance(node, Circuit) and node.space in spaces - begun:
            if node.masks:
                raise Unsupported("its qubits are read before the recurrence")
            continue
        out.append(node)
    return tuple(out)
