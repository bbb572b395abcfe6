"""Everything that one drawing shows: the circuits of a model and what steers them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from qrlang.analysis.circuits import Circuit, circuits
from qrlang.draw.flow import Flow, flow, legend
from qrlang.draw.labels import Labels
from qrlang.draw.names import Names
from qrlang.draw.scene import Frame, Scene, scene
from qrlang.ir.program import Loop, Program
from qrlang.names import assumption


@dataclass(slots=True)
class Block:
    """A layer: names of what goes in, and of what uses it."""

    name: str
    detail: str
    inputs: list[str]
    outputs: list[str]


@dataclass(slots=True)
class Group:
    """Blocks that belong together: in the frame of a step whose circuits are all layers, or in
    none (`caption` empty)."""

    caption: str
    goes_on: str  # what the step hands to the next
    blocks: list[Block] = field(default_factory=list)


@dataclass(slots=True)
class Picture:
    title: str
    scenes: list[Scene]
    groups: list[Group] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)  # below the title


def picture(
    program: Program,
    fold: bool = False,
    assumed: Sequence[str] = (),
    moved: Mapping[tuple[str, str], str] | None = None,
) -> Picture:
    """`assumed`: parameters that stand in, which is said; `moved`: see `moved_registers`."""
    found = tuple(c.renamed(moved or {}) for c in circuits(program))
    labels = Labels(Names(program))
    scenes = [_scene(circuit, labels, fold) for circuit in found]
    settings = ", ".join(f"{k} = {written(v)}" for k, v in program.settings)
    title = program.name + (f"  ({settings})" if settings else "")
    facts = flow(program, found, labels.names)
    notes = _notes(facts, labels)
    values = dict(program.settings)
    remarks = [assumption(name, values[name]) for name in assumed]
    if any(isinstance(part, Frame) and part.folded for s in scenes for part in s.parts):
        notes.insert(0, "×: the numbers of the angles go on counting from one time to the next")
    return Picture(title, scenes, _groups(program, found, facts, labels), notes, remarks)


def written(value: object) -> str:
    """A setting as the language writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _scene(circuit: Circuit, labels: Labels, fold: bool) -> Scene:
    made = scene(circuit, circuit.name, labels, fold)
    if circuit.loop is None:
        made.caption = circuit.name.replace("_", " ", 1)
    elif circuit.fresh:
        made.caption = f"{circuit.name}: at every call"
    else:
        made.caption = f"{circuit.name}: {moment(circuit.loop, labels.names)}"
    return made


def moment(loop: Loop, names: Names) -> str:
    """When a step happens, in words."""
    items = [i for i in loop.items if i.item.name or names.sequence(i.sequence)]
    each = ", ".join(i.item.name or "moment" for i in items) or "moment"
    sequences = (names.sequence(i.sequence) for i in items)
    over = ", ".join(dict.fromkeys(name for name in sequences if name))
    extra = f", then {loop.extra} more" if loop.extra else ""
    return f"once for every {each}" + (f" in {over}" if over else "") + extra


def _groups(
    program: Program, found: tuple[Circuit, ...], facts: Flow, labels: Labels
) -> list[Group]:
    """Steps that no circuit shows have a frame around their blocks."""
    shown = {c.loop.name for c in found if c.loop and not c.fresh}
    groups: dict[str, Group] = {}
    loops = {op.name: op for op in program.body if isinstance(op, Loop) and op.name not in shown}
    carried = [name for name, _ in facts.carried]
    for name, block in _blocks(facts, labels):
        loop = loops.get(facts.nodes[name].loop)
        if loop is None:
            groups.setdefault("", Group("", "")).blocks.append(block)
            continue
        own = [labels.names.of(c.arg) for c in loop.carries if labels.names.of(c.arg) in carried]
        caption = f"{loop.name}: {moment(loop, labels.names)}"
        made = groups.setdefault(loop.name, Group(caption, ", ".join(own)))
        made.blocks.append(block)
    return list(groups.values())


def _blocks(facts: Flow, labels: Labels) -> Iterator[tuple[str, Block]]:
    carried = {name for name, _ in facts.carried}
    for name, node in facts.nodes.items():
        outputs = []
        for key, letter in labels.letters.items():
            if name in facts.origins.get(key, ()):
                outputs.append(f"{letter}  {labels.values[key].type}")
        outputs += [n.name for n in facts.nodes.values() if name in n.inputs]
        outputs += [f"{c}, for the next step" for c, names in facts.carried if name in names]
        outputs += [result for result, names in facts.results if name in names]
        inputs = [f"{n}, of the step before" if n in carried else n for n in node.inputs]
        yield name, Block(name, node.detail, inputs, outputs)


def _notes(facts: Flow, labels: Labels) -> list[str]:
    """What the blocks do not say: letters without a layer, and angles too long for a gate."""
    plain = {
        key: letter
        for key, letter in labels.letters.items()
        if not any(n in facts.nodes for n in facts.origins.get(key, ()))
    }
    notes = legend(facts, plain, labels.values)
    notes += [f"{short} = {labels.written(angle)}" for angle, short in labels.long.items()]
    for name, names in facts.results:
        if not any(n in facts.nodes or n.startswith("%") for n in names):
            notes.append(f"{name} = {', '.join(names) or 'a constant'}")
    return notes
