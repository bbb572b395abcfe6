"""One mistake in the middle of a file: one error, and everything else is still in the tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from qrlang.source import Source
from qrlang.syntax import ast
from qrlang.syntax.parser import parse

TEXT = """\
use std.ansatz.su2_ring
use std.readout.each_z

const size = 8

ansatz mine(layers: int = 1) on q: qubit[n] with theta: angle[layers, n] {
  for l in 0..layers {
    for i in 0..n {
      ry(theta[l, i]) q[i]
    }
    for i in 0..n { cx q[i], q[(i + 1) % n] }
  }
}

readout xs on q: qubit[n] = [X(q[i]) for i in 0..n]

circuit vqc(n: int)(v: real[n]) -> real[n] {
  qubits q[n]
  param  w: angle[1, n]
  for i in 0..n { h q[i]  ry(atan(v[i])) q[i] }
  apply mine(1)(w) to q
  return read each_z(q)
}

/// The model.
model QRNN(n: int = 8, hidden: int = 64) {
  input  rows:  seq[real[28]]
  target label: class[10]
  carry  c: real[n] = 0

  qubits     memory[n]
  readout    z      = each_z(memory)
  ansatz     evolve = su2_ring(2)
  controller steer  = mlp(hidden, tanh)
  layer      head   = linear(10)

  step row in rows {
    let v = vqc(row, c)
    apply evolve(steer(row, read z)) to memory
    if measure memory[0] { x memory[1] }
    c <- tanh(v) * c
    emit keys = v
  }
  return head(read z)
}

hamiltonian tfim on q: qubit[n] with J: real = -J * sum([Z(q[i]) for i in 0..n])

const after = 3

train QRNN(n: 4) {
  data      = mnist_rows
  optimizer = adam(lr: 1e-3)
}
"""

# What is removed or exchanged, and whether even the statement itself is kept.
SLIPS = [
    (" to memory", " memory", True),
    ("step row in rows", "step row rows", True),
    ("for l in 0..layers", "for l 0..layers", True),
    ("hidden: int = 64", "hidden int = 64", True),
    ("n: int = 8, ", "n: int = 8 ", True),
    ("(row, read z))", "(row, read z)", True),
    ("seq[real[28]]", "seq[real[28]", True),
    ("with theta: angle[layers, n] {", "with theta: angle[layers, n]", True),
    ("-> real[n] {", "real[n] {", False),
    ("c <- tanh", "c = tanh", True),
    ("lr: 1e-3", "lr = 1e-3", True),
    ("data      =", "data", True),
    ("let v = ", "let v ", True),
    ("let v = vqc(row, c)", "let v =", False),
    ("layer      head   =", "layer      head", True),
    ("const after = 3", "const after =", False),
    ("readout xs on q", "readout xs q", True),
    ("model QRNN(", "modle QRNN(", True),
    ("ansatz mine", "anzatz mine", True),
    ("circuit vqc", "circiut vqc", True),
    ("return head", "retrun head", True),
    ("apply evolve", "aply evolve", True),
    ("x memory[1] }", "x }", False),
    ("cx q[i], q[(i + 1) % n]", "cx q[i] q[(i + 1) % n]", False),
    ("ry(theta[l, i]) q[i]", "ry(theta[l, i) q[i]", True),
    ("ry(theta[l, i]) q[i]", "ry(theta[l, i]] q[i]", True),
    ("ry(atan(v[i])) q[i]", "ry(atan(v[i]) q[i]", True),
    ("emit keys = v", "emit keys = v;", True),
    ("train QRNN(n: 4)", "train QRNN(n 4)", False),
    ("carry  c: real[n] = 0", "carry  c = 0", False),
    ("if measure memory[0] {", "if measure memory[0] = 1 {", True),
]


def shape(nodes: tuple[ast.Node, ...]) -> list[object]:
    """The kinds of nodes and of what stands in them."""
    out: list[object] = []
    for node in nodes:
        out.append(type(node).__name__)
        body = getattr(node, "then", getattr(node, "body", ()))
        if isinstance(body, tuple):
            out.append(shape(body))
    return out


@pytest.mark.parametrize(("written", "instead", "kept"), SLIPS, ids=[s[1].strip() for s in SLIPS])
def test_one_mistake(written: str, instead: str, kept: bool) -> None:
    assert TEXT.count(written) >= 1
    whole, none = parse(Source("x", TEXT))
    assert not none
    file, diagnostics = parse(Source("x", TEXT.replace(written, instead, 1)))
    assert [d.code for d in diagnostics if d.severity == "error"] and len(diagnostics) == 1
    if kept:
        assert shape(file.items) == shape(whole.items)
    else:
        names = [type(item).__name__ for item in whole.items]
        lost = len(names) - len(file.items)
        assert lost <= 1
        assert [type(i).__name__ for i in file.items][-1] == names[-1]


@pytest.mark.parametrize("line", range(1, TEXT.count("\n")))
def test_a_line_is_missing(line: int) -> None:
    """Few errors, and the last item is there."""
    lines = TEXT.split("\n")
    removed = lines.pop(line)
    file, diagnostics = parse(Source("x", "\n".join(lines)))
    assert len(diagnostics) <= 2, removed
    assert isinstance(file.items[-1], ast.Train) or "train" in removed


def test_every_token_missing() -> None:
    """Leaving out any single token gives at most three errors, nearly always one."""
    from qrlang.syntax.tokens import tokens

    counts = []
    for _, _, span in tokens(Source("x", TEXT)):
        text = TEXT[: span.start] + TEXT[span.end :]
        counts.append(len(parse(Source("x", text))[1]))
    assert max(counts) <= 3
    assert sum(count > 1 for count in counts) <= len(counts) // 50


def test_the_place_of_a_missing_brace() -> None:
    """The note points at the brace that is open, not at the one that the parser saw last."""
    text = TEXT.replace("      ry(theta[l, i]) q[i]\n    }\n", "      ry(theta[l, i]) q[i]\n", 1)
    _, diagnostics = parse(Source("x", text))
    (one,) = diagnostics
    (note,) = one.notes
    assert note.span is not None
    assert str(note.span) == "x:8:19"


def test_library_programs_parse(root: Path) -> None:
    for path in (root / "stdlib").glob("*.qrl"):
        _, diagnostics = parse(Source(path.name, path.read_text(encoding="utf-8")))
        assert not diagnostics
