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
