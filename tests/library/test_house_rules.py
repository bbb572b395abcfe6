"""What every file of the standard library keeps: documented, formatted, without warnings."""

from __future__ import annotations

import re

import pytest
from cli_tools import qrlc
from library_tools import STD, check, report, std_files, std_items

from qrlang.check import check_file
from qrlang.check.library import Library
from qrlang.format import format_text
from qrlang.source import Source
from qrlang.syntax import ast

FILES = sorted(std_files())
ITEMS = {
    name: item
    for kind in (ast.Ansatz, ast.ReadoutDef, ast.Hamiltonian)
    for name, item in std_items(kind).items()
}


@pytest.mark.parametrize("module", FILES)
def test_formatted(module: str) -> None:
    source = std_files()[module].source
    text, diagnostics = format_text(Source(source.name, source.text))
    assert not diagnostics
    assert text == source.text


@pytest.mark.parametrize("module", FILES)
def test_no_errors_and_no_warnings(module: str) -> None:
    _, diagnostics = check_file(std_files()[module], Library(STD, packages=False))
    assert not diagnostics, report(diagnostics)


@pytest.mark.parametrize("name", ITEMS)
def test_documented(name: str) -> None:
    doc = ITEMS[name].doc
    first = doc.split("\n")[0]
    assert first.endswith((".", "…")), "its first line says by itself what it is: it is listed"
    assert all(len(line) <= 96 for line in doc.splitlines())
    if isinstance(ITEMS[name], ast.Ansatz):
        assert len(re.findall(r"^Angles: .+\.$", doc, re.MULTILINE)) == 1
    for wrong in re.findall(r"(?i)arxiv[ :]*(\S+)", doc):
        assert re.fullmatch(r"\d{4}\.\d{4,5}[.,;:)]*", wrong), f"not an arXiv number: {wrong}"


@pytest.mark.parametrize("name", ITEMS)
def test_can_be_shown_with_its_drawing(name: str) -> None:
    done = qrlc("stdlib", name.rsplit(".", 1)[1])
    assert done.code == 0, done.err
    assert ITEMS[name].doc.split("\n")[0] in done.out


def test_names_are_unique() -> None:
    names = [name.rsplit(".", 1)[1] for name in ITEMS]
    assert len(names) == len(set(names))


def test_sim_circuits_name_their_source() -> None:
    sims = {name: item for name, item in ITEMS.items() if name.startswith("sim.sim_")}
    assert set(sims) == {f"sim.sim_{k}" for k in range(1, 20)}
    assert all("arXiv 1905.10876" in item.doc for item in sims.values())


REFUSED = {
    "ansatz.su2_ring": (1, "apply su2_ring(w) to q", "a ring needs at least two qubits"),
    "ansatz.ry_ring": (2, 'apply ry_ring(gate: "cz")(w) to q', "undoes itself"),
    "ansatz.su2_line": (3, 'apply su2_line(gate: "cy")(w) to q', '"cx" or "cz"'),
    "ansatz.two_local": (3, 'apply two_local(pattern: "star")(w) to q', '"line", "ring"'),
    "ansatz.strongly_entangling": (1, "apply strongly_entangling(w) to q", "use each_su2"),
    "sim.sim_10": (2, "apply sim_10(w) to q", "undoes itself"),
    "sim.sim_14": (1, "apply sim_14(w) to q", "at least two qubits"),
    "spin.ising_ring": (2, "apply ising_ring(w) to q", "three qubits"),
    "cell.li_block": (2, "apply li_block(w) to q", "three qubits"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_senseless_sizes_are_refused_with_a_reason(name: str) -> None:
    n, line, reason = REFUSED[name]
    _, diagnostics = check(
        f"use std.{name}\nmodel M {{\n  input x: real[1]\n  target y: real[{n}]\n  qubits q[{n}]\n"
        f"  param w: angle[...]\n  {line}\n  return read [Z(q[i]) for i in 0..{n}]\n}}\n"
    )
    errors = [d for d in diagnostics if d.severity == "error"]
    assert len(errors) == 1, report(diagnostics)
    assert reason in errors[0].message + errors[0].help + errors[0].label
