"""Widths that follow from one another, and layers that need more numbers than they give."""

from __future__ import annotations

import time

import pytest

from qrlang.check import check_file
from qrlang.ir.program import Program
from qrlang.source import Source
from qrlang.syntax.parser import parse


def program(text: str) -> Program:
    file, syntax = parse(Source("m.qrl", text))
    checked, found = check_file(file)
    assert not syntax and not found, [*syntax, *found]
    return checked.models["M"].program


@pytest.mark.parametrize("count", [3, 12, 40])
def test_a_width_travels_along_a_chain_of_sums(count: int) -> None:
    layers = "".join(f"  layer l{i} = linear\n" for i in range(count))
    lets = "".join(f"  let s{i} = l{i}(v) + l{i + 1}(v)\n" for i in range(count - 1))
    sums = ", ".join(f"s{i}" for i in range(count - 1))
    text = (
        "model M {\n  input v: real[2]\n  target y: real[3]\n"
        f"{layers}{lets}  return concat({sums}, l{count - 1}(v) + [1, 2, 3])\n}}\n"
    )
    widths = {w.shape for w in program(text).weights if w.name.endswith(".w")}
    assert widths == {(3, 2)}


def test_glu_halves_a_hidden_layer() -> None:
    text = """
model M(act: activation = glu) {
  input v: real[5]
  target y: real[2]
  controller s = mlp(32, 7, act, out: 2)
  layer t = mlp(4, glu, out: 3)
  return s(t(v), glu([1, 2]))
}
"""
    shapes = {w.name: w.shape for w in program(text).weights}
    assert shapes["s.w1"] == (64, 4) and shapes["s.b1"] == (64,)
    assert shapes["s.w2"] == (14, 32) and shapes["s.w3"] == (2, 7)
    assert shapes["t.w1"] == (8, 5) and shapes["t.w2"] == (3, 4)


def test_sums_of_thousands_of_terms() -> None:
    n = 3000
    readout = " - ".join(f"{i + 1} * Z(q[{i % 4}])" for i in range(n))
    values = " + ".join(f"v[{i % 5}]" for i in range(n))
    text = f"""
model M {{
  input v: real[5]
  target y: real[2]
  qubits q[4]
  readout z = {readout}
  h q
  ry(v[0]) q[0]
  return concat(read z, {values})
}}
"""
    start = time.process_time()
    assert len(program(text).body) > 3
    assert time.process_time() - start < 5


ROWS = """
ansatz turns on q: qubit[n] with a: angle[n, 3] { for i in 0..n { u(a[i, 0], a[i, 1], a[i, 2]) q[i] } }
model M(n: int = 2, steps: int = 4) {
  target y: real[1]
  qubits q[n]
  param  w: angle[steps, ...] = normal
  frozen v: real[2, steps, ...] = 0.3
  for t in 0..steps { apply turns(w[t]) to q  apply turns(2 * v[1, t]) to q }
  apply turns(v[0][3]) to q
  return read [X(q[0]) * Z(q[1])]
}
"""


def test_rows_of_a_tensor_say_how_wide_it_is() -> None:
    weights = {w.name: w for w in program(ROWS).weights}
    assert weights["w"].shape == (4, 6) and weights["v"].shape == (2, 4, 6)
    assert (weights["w"].initial.kind, weights["w"].initial.args) == ("normal", (0.0, 1.0))
    wide = {w.name: w.shape for w in program(ROWS.replace("n: int = 2", "n: int = 5")).weights}
    assert wide == {"w": (4, 15), "v": (2, 4, 15)}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [("w[t]", "w[t + 1]", "E0306"), ("v[0][3]", "v[0][3][..3]", "E0403"), ("w[t]", "w", "E0401")],
)  # fmt: skip
def test_rows_that_do_not_fit(old: str, new: str, code: str) -> None:
    _, found = check_file(parse(Source("m.qrl", ROWS.replace(old, new)))[0])
    assert [d.code for d in found][:1] == [code], found
