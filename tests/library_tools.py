"""Items of the standard library, elaborated on their own and as dense matrices: for the tests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from qrlang.backends.reference.classical import compute
from qrlang.backends.reference.state import act
from qrlang.check import check_file
from qrlang.check.library import Library
from qrlang.diagnostics import Diagnostic
from qrlang.gates import GATES
from qrlang.ir.program import Alloc, Angle, Expect, Free, Gate, Program, Unitary
from qrlang.source import Source
from qrlang.syntax import ast
from qrlang.syntax.parser import parse

ROOT = Path(__file__).parent.parent
STD = ROOT / "stdlib"
LIBRARY = Library(STD, packages=False)


@cache
def std_files() -> dict[str, ast.File]:
    """By module name: `ansatz`, `sim`, …"""
    found = {}
    for path in sorted(STD.rglob("*.qrl")):
        name = ".".join(path.relative_to(STD).with_suffix("").parts)
        file, diagnostics = parse(Source(str(path), path.read_text(encoding="utf-8")))
        assert not diagnostics, [str(d.span) + " " + d.message for d in diagnostics]
        found[name] = file
    return found


@cache
def std_items(kind: type) -> dict[str, Any]:
    """Items of a kind by their full name, `sim.sim_14`."""
    return {
        f"{module}.{item.name}": item
        for module, file in std_files().items()
        for item in file.items
        if isinstance(item, kind)
    }


def angle_count(item: ast.Ansatz, sizes: Mapping[str, int]) -> int:
    """What the doc comment's line `Angles: …` comes to."""
    found = re.search(r"^Angles: (.*)\.$", item.doc, re.MULTILINE)
    assert found, f"{item.name} does not say how many angles it has"
    count = eval(found[1], {"__builtins__": {}}, dict(sizes))
    assert count == int(count)
    return int(count)


def check(text: str, library: Library | None = None) -> tuple[Any, tuple[Diagnostic, ...]]:
    file, syntax = parse(Source("<test>", text))
    checked, diagnostics = check_file(file, library or LIBRARY)
    return checked, (*syntax, *diagnostics)


def report(diagnostics: Sequence[Diagnostic]) -> str:
    return "\n".join(f"{d.code} {d.span}: {d.message} ({d.help})" for d in diagnostics)


@dataclass(frozen=True)
class Elaborated:
    program: Program
    diagnostics: tuple[Diagnostic, ...]


def program_of(
    full: str, widths: Mapping[str, int], counts: Sequence[int], params: str = ""
) -> tuple[str, str]:
    """A model that applies one ansatz, its angles the model's input; and the ansatz's own name."""
    name = full.rsplit(".", 1)[1]
    inputs = "".join(f"  input  a{k}: real[{c}]\n" for k, c in enumerate(counts) if c)
    given = ", ".join(f"a{k}" for k, c in enumerate(counts) if c)
    call = name + (f"({params})" if params else "") + (f"({given})" if given else "")
    registers = ", ".join(f"{r}[{w}]" for r, w in widths.items())
    reads = ", ".join(
        f"[{p}({r}[i]) for i in 0..{w}]" for r, w in widths.items() for p in ("X", "Y", "Z")
    )
    return (
        f"use std.{full}\n"
        f"model Alone {{\n{inputs}  target y: real[{3 * sum(widths.values())}]\n"
        f"  qubits {registers}\n  apply {call} to {', '.join(widths)}\n  return read [{reads}]\n}}\n"
    ), name


def elaborate(
    full: str, widths: Mapping[str, int], counts: Sequence[int], params: str = ""
) -> Elaborated:
    text, _ = program_of(full, widths, counts, params)
    checked, diagnostics = check(text)
    errors = [d for d in diagnostics if d.severity == "error"]
    assert not errors, f"{text}\n{report(errors)}"
    return Elaborated(checked.models["Alone"].program, diagnostics)


def matrix(program: Program, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """The unitary of a program without recurrence, qubit 0 the most significant."""
    n = sum(r.size for r in program.registers)
    values = {v.id: x for v, x in zip(program.inputs, inputs, strict=True)}
    array = np.eye(2**n, dtype=complex).reshape((2,) * (2 * n))

    def number(angle: Angle) -> float:
        terms = (t.coefficient * values[t.value.id].flat[t.index] for t in angle.terms)
        return float(angle.constant + sum(terms))

    for op in program.body:
        if isinstance(op, (Alloc, Free, Expect)):
            continue
        if isinstance(op, Unitary):
            for gate in op.elements:
                assert isinstance(gate, Gate)
                small = np.array(GATES[gate.name].matrix(*map(number, gate.angles)), complex)
                array = act(array, small, gate.qubits, gate.controls, gate.zeros)
        else:
            result = compute(op, values, {})
            assert result is not None, op
            values[op.out.id] = result  # type: ignore[attr-defined]
    return array.reshape(2**n, 2**n)


def same_up_to_phase(a: np.ndarray, b: np.ndarray) -> bool:
    overlap = np.vdot(b, a) / len(a)
    return abs(abs(overlap) - 1) < 1e-10 and np.allclose(a, overlap * b, atol=1e-10)
