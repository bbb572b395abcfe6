"""Bits that are carried stay bits: they steer `if` in the next step."""

from __future__ import annotations

import numpy as np
import pytest

from qrlang.backends.reference import run
from qrlang.check import check_file
from qrlang.ir.verify import verify
from qrlang.source import Source
from qrlang.syntax.parser import parse

MODEL = """
model M {{
  input u: seq[real[1]]
  target y: seq[real[1]]
  qubits q[2]
  carry last: {carry}
  step x in u {{
    rx(x[0]) q[0]
    let b = measure q[0]
    if {steer} {{ x q[1] }}
    emit read [Z(q[1])]
    last <- {update}
  }}
}}
"""


@pytest.mark.parametrize(
    ("carry", "steer", "update", "expected"),
    [
        # q[0] is flipped at each of four steps: b is 1, 0, 1, 0.
        ("bit = 0", "last", "b", (1, -1, -1, 1)),
        ("bit = 1", "last", "not b", (-1, -1, 1, 1)),
        ("bit", "last", "1", (1, -1, 1, -1)),
        ("bit[2] = [0, 1]", "last[1]", "[b, b]", (-1, 1, 1, -1)),
        ("bit[2] = 1", "last[0]", "[not last[1], b]", (-1, -1, -1, 1)),
        ("bit = 0", "last", "where(b, b, last)", (1, -1, 1, -1)),
    ],
)
def test_a_carried_bit_steers(carry: str, steer: str, update: str, expected: list[int]) -> None:
    text = MODEL.format(carry=carry, steer=steer, update=update)
    file, syntax = parse(Source("bits.qrl", text))
    checked, found = check_file(file)
    assert not syntax and all(d.severity == "warning" for d in found), found
    program = checked.models["M"].program
    assert not verify(program)
    result = run(program, {"u": np.full((4, 1), np.pi)}).outputs[""]
    np.testing.assert_allclose(np.ravel(result), expected, atol=1e-9)


def test_numbers_are_no_bits() -> None:
    text = MODEL.format(carry="bit = 0", steer="last", update="x[0]")
    checked, found = check_file(parse(Source("bits.qrl", text))[0])
    assert [d.code for d in found] == ["E0408"] and not checked.models
