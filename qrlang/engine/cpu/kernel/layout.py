"""Where things lie: the numbers that the kernel is called with, and a thread's working memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from qrlang.engine import nodes
from qrlang.engine.bodies import walk_nodes
from qrlang.engine.cpu.amplitudes.sweeps import Shape, Sweeps
from qrlang.engine.cpu.amplitudes.team import MOST
from qrlang.engine.cpu.llvm.asm import Format
from qrlang.engine.nodes import Plan


def rounded(size: int) -> int:
    return (size + 63) & ~63


def narrow_rows(fmt: Format) -> list[int]:
    """Bytes that a row may take on the tape, where a block may have fewer sequences than lanes."""
    return [size for size in (16, 32, 64) if size <= fmt.row]


@dataclass(slots=True)
class Layout:
    """Offsets in bytes. `words` are the names of the kernel's call words, in order."""

    plan: Plan
    fmt: Format
    sweeps: Sweeps
    words: list[str] = field(default_factory=list)
    work: dict[str, int] = field(default_factory=dict)
    work_size: int = 0
    row_of: list[int] = field(default_factory=list)
    rows: int = 0
    gradients: dict[str, tuple[int, int]] = field(default_factory=dict)  # offset, numbers
    gradient_size: int = 0

    def qubits(self, space: int) -> int:
        return self.sweeps.padded(self.plan.spaces[space])

    def place(self, name: str, size: int) -> None:
        self.work[name] = self.work_size
        self.work_size += rounded(size)

    def gradient(self, kind: str, weight: int) -> int:
        """Where a weight's gradient gathers: `dense` [out, in padded], `rows` [count, lanes],
        `table` as it is."""
        return self.gradients[f"{kind}{weight}"][0]


def make(plan: Plan, fmt: Format, sweeps: Sweeps) -> Layout:
    every = walk_nodes(plan.body)
    loops = [n for n in every if isinstance(n, nodes.Loop)]
    out = Layout(plan, fmt, sweeps, _words(plan, loops))
    _rows(out, loops)
    _circuits(out)
    layers = [n for n in every if isinstance(n, nodes.Linear)]
    widest = max((plan.slots[n.x] for n in layers), default=0)
    out.place("turned", fmt.lanes * fmt.size * (widest + fmt.lanes))
    out.place("scaled", max((plan.slots[n.out] for n in layers), default=1) * fmt.row)
    _gradients(out, every)
    return out


def _words(plan: Plan, loops: list[nodes.Loop]) -> list[str]:
    """Of a call."""
    words = ["B", "width", "saved", "saved_stride", "seed", "tape_row"]
    words += [f"off_state{s}" for s in range(len(plan.spaces))]
    words += [f"off_psi{s}" for s in range(len(plan.spaces))]
    words += [f"off_lam{s}" for s in range(len(plan.spaces))]
    words += [f"off_tape{n.id}" for n in loops]
    words += [f"off_seq{q}" for q in range(len(plan.sequences))]
    words += [f"off_dseq{q}" for q in range(len(plan.sequences))]
    words += [f"size_dseq{q}" for q in range(len(plan.sequences))]
    for i, x in enumerate(plan.inputs):
        words += [f"in{i}", f"in{i}_b", f"in{i}_t", f"din{i}"]
        if x.seq:
            words += [f"T{i}", f"len{i}"]
    words += [f"w{i}" for i in range(len(plan.weights))]
    for i in range(len(plan.outputs)):
        words += [f"out{i}", f"out{i}_b", f"out{i}_t", f"dout{i}"]
    return words


def _rows(out: Layout, loops: list[nodes.Loop]) -> None:
    """Of values and their slopes, and what goes on beside them."""
    plan, fmt, row = out.plan, out.fmt, out.fmt.row
    for count in plan.slots:
        out.row_of.append(out.rows)
        out.rows += count
    out.place("rows", (out.rows + fmt.lanes) * row)
    out.place("adjoint", (out.rows + fmt.lanes) * row)
    for name in ("active0", "active1", "active2", "active3", "ones"):
        out.place(name, row)
    out.place("lane", fmt.lanes * 8)
    for s in range(len(plan.spaces)):
        out.place(f"scale{s}", row)
        out.place(f"back{s}", row)
        out.place(f"turn{s}", row)
        most = max((len(c.masks) for c in plan.circuits if c.space == s), default=0)
        out.place(f"seeds{s}", max(1, most) * row)
    for n in loops:
        out.place(f"length{n.id}", row)
        out.place(f"place{n.id}", fmt.lanes * 8)


def _circuits(out: Layout) -> None:
    """What the layers of circuits work with."""
    plan, sweeps, row = out.plan, out.sweeps, out.fmt.row
    for k, c in enumerate(plan.circuits):
        size = sum(Shape.of(x, out.qubits(c.space)).rows for x in c.layers)
        out.place(f"prm{k}", max(1, size) * row)
    vectors, tables, widest = 1, 1, 0
    for c in plan.circuits:
        qubits = out.qubits(c.space)
        widest = max(widest, qubits)
        total = 0
        for shape in (Shape.of(layer, qubits) for layer in c.layers):
            total += len(shape.terms) + len(shape.bits) + 1
            tables = max(tables, sweeps.table_bytes(shape.masks, qubits))
        vectors = max(vectors, total, len(c.masks))
        if c.masks:
            tables = max(tables, sweeps.table_bytes(c.masks, qubits))
    out.place("own", 64)
    out.place("vectors", vectors * sweeps.stride)
    if sweeps.team.on:
        out.place("meeting", MOST * vectors * sweeps.stride)
        out.place("spare", vectors * row)
    out.place("tables", tables)
    out.place("seed_tables", tables)
    out.place("w", sweeps.unit << widest)
    out.place("scratch", 2 * sweeps.plane(widest))
    out.place("scratch_lam", 2 * sweeps.plane(widest))
    if sweeps.together:
        out.place("rest0", 2 * sweeps.plane(widest))
        out.place("rest1", 2 * sweeps.plane(widest))


def _gradients(out: Layout, every: list[nodes.Node]) -> None:
    """Of weights."""
    plan, fmt = out.plan, out.fmt
    for node in every:
        places: list[tuple[str, int, int]] = []
        match node:
            case nodes.Linear():
                many, width = plan.weights[node.weight].shape[0], plan.slots[node.x]
                padded = -(-width // fmt.lanes) * fmt.lanes
                places.append(("dense", node.weight, many * padded))
                if node.bias >= 0:
                    places.append(("rows", node.bias, many * fmt.lanes))
            case nodes.WeightRows():
                places.append(("rows", node.weight, plan.slots[node.out] * fmt.lanes))
            case nodes.Embed():
                rows = plan.weights[node.weight].shape[0]
                places.append(("table", node.weight, rows * node.width))
        for kind, weight, numbers in places:
            if f"{kind}{weight}" not in out.gradients:
                out.gradients[f"{kind}{weight}"] = (out.gradient_size, numbers)
                out.gradient_size += rounded(numbers * fmt.size)
