"""Whatever acts on qubits leads back to the line that it was written on."""

from __future__ import annotations

from qrlang.check import check_file
from qrlang.ir.program import (
    Alloc,
    ApplyMatrix,
    Channel,
    Evolve,
    If,
    Measure,
    Postselect,
    Prepare,
    Reset,
    Unitary,
)
from qrlang.ir.walk import walk
from qrlang.source import Source
from qrlang.syntax.parser import parse

TEXT = """
use std.hamiltonian.tfim
model M {
  input v: real[4]
  input u: unitary[1]
  target y: real[3]
  qubits q[3]
  qubits m[1] = mixed
  prepare v on q[0..2]
  h q[2]
  apply u to q[0]
  apply tfim(1, v[0]) for 0.5 to q
  depolarizing(0.1) q[1]
  let b = measure q[0]
  if b { x m[0] }
  measure q[1]
  reset q[1]
  postselect q[2] == 0
  return read [Z(q[0]), Z(q[1]), Z(m[0])]
}
"""
WRITTEN = {
    Alloc: ["q[3]", "m[1]"],
    Prepare: ["prepare v on q[0..2]"],
    ApplyMatrix: ["apply u to q[0]"],
    Evolve: ["apply tfim(1, v[0]) for 0.5 to q"],
    Channel: ["depolarizing(0.1) q[1]"],
    Measure: ["measure q[0]", "measure q[1]"],
    If: ["if b { x m[0] }"],
    Reset: ["reset q[1]"],
    Postselect: ["postselect q[2] == 0"],
}


def test_every_op_has_its_place() -> None:
    file, syntax = parse(Source("m.qrl", TEXT))
    checked, found = check_file(file)
    assert not syntax and not found
    model = checked.models["M"]
    seen: dict[type, list[str]] = {}
    for op in walk(model.program.body):
        if isinstance(op, Unitary):
            assert all(element.place >= 0 for element in op.elements)  # type: ignore[union-attr]
        elif type(op) in WRITTEN:
            span = model.places.outermost(op.place)  # type: ignore[attr-defined]
            seen.setdefault(type(op), []).append(span.text if span else "")
    assert seen == WRITTEN
