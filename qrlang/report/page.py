"""The page of a run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any
from urllib.parse import quote

from qrlang.analysis.circuits import circuits
from qrlang.analysis.cost import Cost, Roles, cost
from qrlang.analysis.evaluations import evaluations
from qrlang.errors import UserError
from qrlang.ir.program import Loop, Program
from qrlang.ir.walk import walk
from qrlang.names import initial
from qrlang.report import readouts
from qrlang.report.blocks import Block, Code, Heading, Image, Paragraph, Table, html, markdown
from qrlang.report.gates import DATA_DRIVEN, FIXED, KIND, TRAINED, Gates
from qrlang.system.files import read_json, suffixed, write_atomically
from qrlang.training import compare
from qrlang.training.progress import number
from qrlang.training.run import Run


def write(path: str, others: Sequence[str], steps: int, out: Path | None) -> list[Path]:
    """RUN/report.md and .html; with `steps` 0 the length of the sequences is the data's."""
    run = Run.open(path)
    where = out or run.folder / "report"
    blocks = page(run, others, steps, where.parent)
    written = [suffixed(where, ".md"), suffixed(where, ".html")]
    write_atomically(written[0], markdown(blocks))
    write_atomically(written[1], html(str(run.about()["model"]), blocks))
    return written


def page(run: Run, others: Sequence[str], steps: int, folder: Path) -> list[Block]:
    program, settings, about = run.program(), run.settings(), run.about()
    core = "" if settings.core == "pqc" else f", {settings.core} core"
    length, of = (steps, "as asked for") if steps else _length(run, program)
    roles = Roles(program)
    gates, costs = Gates(roles), cost(program)
    blocks: list[Block] = [
        Heading(f"{about['model']}{core}", 1),
        Paragraph(f"Run `{run.folder.name}`, seed {settings.seed}. Everything here is computed "
                  "from the run."),
    ]  # fmt: skip
    blocks += _result(run, others)
    blocks += _parameters(program, costs)
    blocks += _readouts(program, gates)
    blocks += _evaluations(program, settings.shots, length, of)
    blocks += _circuits(program, gates, costs)
    blocks += _settings(run)
    blocks += _pictures(run, folder)
    return [*blocks, *_texts(run)]


# --- the result ---------------------------------------------------------------------------------


def _result(run: Run, others: Sequence[str]) -> list[Block]:
    blocks: list[Block] = [Heading("Result")]
    if not run.result.exists():
        return [*blocks, Paragraph("The run is not finished.")]
    result = run.outcome("split", "sequences", "seconds", "epochs", "seconds_an_epoch")
    rows = []
    for name, one in result["figures"].items():
        between = " … ".join(number(name, x) for x in one["interval"] or ())
        rows.append((name, number(name, one["value"]), between))
    head = (f"{result['split']}, {result['sequences']} sequences", "value", "95 % interval")
    blocks += [Table(head, rows, frozenset({1, 2}))]
    blocks.append(Paragraph(
        f"Time: {result['seconds']:.3g} s for {result['epochs']} epochs, "
        f"{result['seconds_an_epoch']:.3g} s each."
        + (" Beside the other runs, each at its own settings:" if others else "")
    ))  # fmt: skip
    if others:
        found, left = compare.rows([str(run.folder), *others], None)
        if left:  # asked for by name
            raise left[0]
        table = compare.cells(found)
        blocks.append(Table(table[0], table[1:], frozenset(range(1, len(table[0])))))
    return blocks


# --- the model ----------------------------------------------------------------------------------


def _parameters(program: Program, costs: Cost) -> list[Block]:
    rows = [
        (w.name, "×".join(map(str, w.shape)) or "1", f"{prod(w.shape):,}",
         "trained" if w.trained else "fixed", initial(w.initial))
        for w in program.weights
    ]  # fmt: skip
    angles: Counter[str] = Counter()
    for c in circuits(program):
        for role, n in costs.circuits[c.name].angles.items():
            angles[KIND[role]] += n
    spoken = ", ".join(f"{angles[k]:,} {k}" for k in (DATA_DRIVEN, TRAINED, FIXED))
    return [
        Heading("Parameters by role"),
        Paragraph(
            f"{costs.classical + costs.quantum:,} trained numbers: {costs.classical:,} of "
            f"classical layers, {costs.quantum:,} that are angles themselves; {costs.frozen:,} "
            f"fixed. Angles that can change in the circuits below: {spoken}. Data-driven: computed "
            "from inputs or readouts at every step; trained: a weight itself; fixed: drawn once, "
            "or written in the program."
        ),
        Table(("weight", "shape", "numbers", "role", "begins as"), rows, frozenset({2})),
    ]


def _readouts(program: Program, gates: Gates) -> list[Block]:
    blocks: list[Block] = [Heading("Observables, and how they are packed")]
    seen: dict[tuple[str, ...], list[str]] = {}
    for when, op in readouts.reads(program):
        count = readouts.settings(op)
        text = (f"{op.out.name or 'readout'}, {when}: {op.out.type.count} numbers, "
                f"{readouts.how(op)}, {count} measurement setting{'s' * (count != 1)}")  # fmt: skip
        seen.setdefault(tuple(readouts.observables(program, op)), []).append(text)
    for observables, texts in seen.items():
        blocks += [Paragraph(t + ".") for t in dict.fromkeys(texts)]
        name = texts[0].partition(",")[0]
        rows = [(f"{name}[{k}]", o) for k, o in enumerate(observables)]
        blocks.append(Table(("number", "observable"), rows))
    packed = readouts.packings(program, gates)
    blocks += [Paragraph(f"Packed: {text}.") for text in packed]
    return blocks if seen else [*blocks, Paragraph("Nothing is read: the core is classical.")]


def _evaluations(program: Program, shots: int, steps: int, of: str) -> list[Block]:
    found = evaluations(program, steps)
    if not found.sample:
        return []

    def row(what: str, values: str, count: int | None) -> tuple[str, str, str, str]:
        each = "no rule" if count is None else f"{count:,}"
        total = "exact" if not shots else "" if count is None else f"{count * shots:,}"
        return what, values, each, total

    rows = [
        row("a step", f"{found.step_values:,}", found.step),
        row(f"a sample of {steps} steps", f"{found.sample_values:,}", found.sample),
        ("its gradient: backpropagation", "", "0 (one pass forward, one back, simulated)", ""),
        row("its gradient: parameter shift", "", found.shift),
        row("its gradient: SPSA", "", found.spsa),
    ]
    return [
        Heading("Readouts and circuit evaluations"),
        Paragraph(
            f"Sequences of {steps} steps ({of}). A circuit evaluation is one circuit in one "
            "measurement setting. A state cannot be read and kept, so a device runs every reading "
            f"of every step from the beginning: for a sample {found.sample_steps:,} steps in all. "
            "(Weak readouts are the exception: one circuit has those of all steps.) "
            "Parameter shift takes two circuits (four for controlled rotations) for every angle "
            "that can change and every reading after it; what is classical follows the chain rule."
        ),
        Table(("for", "numbers read", "circuit evaluations", "shots"), rows, frozenset({1, 2, 3})),
    ]


def _circuits(program: Program, gates: Gates, costs: Cost) -> list[Block]:
    blocks: list[Block] = [Heading("Every gate")]
    for c in circuits(program):
        lines = gates.lines(c)
        name = c.name or program.name
        if c.name in costs.circuits:
            of = costs.circuits[c.name]
            blocks.append(Paragraph(
                f"Circuit `{name}`: {len(c.qubits)} qubits, {of.total} gates, {of.two_qubit} on "
                f"two qubits, depth {of.depth}."
            ))  # fmt: skip
        else:
            blocks.append(Paragraph(f"Circuit `{name}`: {len(c.qubits)} qubits, only read."))
        rows = [(str(k + 1), x.what, x.qubits, x.angles, x.role) for k, x in enumerate(lines)]
        blocks.append(Table(("", "gate", "qubits", "angle", "role"), rows, frozenset({0})))
    return blocks if len(blocks) > 1 else [*blocks, Paragraph("None: the core is classical.")]


# --- the run ------------------------------------------------------------------------------------


def _length(run: Run, program: Program) -> tuple[int, str]:
    """Of the sequences that were trained on: the mean, and how it is known."""
    from qrlang.probe import subject

    loops = [op for op in walk(program.body) if isinstance(op, Loop) and op.items]
    driven = {i.sequence.id for loop in loops for i in loop.items}
    names = [p.name for p in program.inputs if p.id in driven]
    try:
        samples = subject.of_run(str(run.folder), None, 64, 10**9).samples
    except UserError:
        return 32, "assumed, as the data is not there"
    ports = [p.name for p in program.inputs if p.type.seq]
    found = [len(s[name]) for s in samples for name in (names or ports) if name in s]
    if not found:
        return 1, "no sequences"
    return round(sum(found) / len(found)), f"the mean of {len(samples)} sequences of the data"


def _settings(run: Run) -> list[Block]:
    pairs: dict[str, Any] = {**run.about()["parameters"], **run.settings().to_data()}
    rows = [(k, _said(v)) for k, v in pairs.items() if v not in (None, "", [], ())]
    versions = [(k, str(v)) for k, v in read_json(run.folder / "versions.json").items()]
    return [
        Heading("Settings"), Table(("setting", "value"), rows),
        Heading("Versions"), Table(("of", "version"), versions),
    ]  # fmt: skip


def _said(value: Any) -> str:
    if isinstance(value, (list, tuple)) and len(value) == 2 and isinstance(value[1], dict):
        inner = ", ".join(f"{k}: {v}" for k, v in value[1].items())
        return f"{value[0]}({inner})" if inner else str(value[0])
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def _pictures(run: Run, folder: Path) -> list[Block]:
    found = [p for p in (run.folder / "curves.svg", *sorted(run.folder.glob("probe/*.svg")))
             if p.exists()]  # fmt: skip
    if not found:
        return []
    return [Heading("Pictures"), *(Image(_address(p, folder), p.stem) for p in found)]


def _address(path: Path, folder: Path) -> str:
    """Of a picture, on a page in a folder."""
    try:
        return quote(Path(os.path.relpath(path, folder)).as_posix())
    except ValueError:  # on another drive
        return path.absolute().as_uri()


def _texts(run: Run) -> list[Block]:
    blocks: list[Block] = [Heading("Program")]
    for path in sorted((run.folder / "program").rglob("*")):
        if path.is_file() and path.suffix in (".qrl", ".py"):
            blocks += [Paragraph(f"`{path.relative_to(run.folder / 'program')}`"),
                       Code(path.read_text(encoding="utf-8", errors="replace"))]  # fmt: skip
    text = (run.folder / "program.ir").read_text(encoding="utf-8")
    return [*blocks, Paragraph("With all names and sizes resolved:"), Code(text)]
