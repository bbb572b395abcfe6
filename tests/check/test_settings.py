"""Parameters from outside, and numbers that nobody gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from qrlang.check import check_file
from qrlang.check.model import Checked
from qrlang.diagnostics import Diagnostic
from qrlang.source import Source
from qrlang.syntax.parser import parse

UI = Path(__file__).resolve().parent.parent / "ui"


def checked(
    text: str, settings: Mapping[str, int | float | str] | None = None
) -> tuple[Checked, tuple[Diagnostic, ...]]:
    file, syntax = parse(Source("m.qrl", text))
    assert not syntax
    return check_file(file, settings=settings or {})


NOISY = """
model M(p: real = 0.1, k: int = 1) {
  input x: real[1]
  target y: real[1]
  qubits q[1]
  ry(k * x[0] + p) q[0]
  depolarizing(p) q[0]
  return [p * read Z(q[0])]
}
"""


@pytest.mark.parametrize(
    ("name", "value"),
    [("p", math.inf), ("p", -math.inf), ("p", math.nan), ("p", 10**400), ("k", 10**400)],
)
def test_a_parameter_is_finite(name: str, value: float) -> None:
    result, found = checked(NOISY, {name: value})
    assert [d.code for d in found] == ["E0309"] and not result.models


def test_a_stand_in_is_the_first_size_at_which_the_model_is_right() -> None:
    text = (UI / "stand_in_found.qrl").read_text(encoding="utf-8")
    result, found = checked(text)
    assert not found
    assert dict(result.models["M"].program.settings)["n"] == 6
    assert result.models["M"].assumed == ("vocab", "n", "m")


def test_lists_of_arguments_are_matched_from_the_end() -> None:
    text = """
use std.hamiltonian.tfim
circuit c(depth: int = 2)(x: real[2]) -> real[2] {{
  qubits q[2]
  for d in 0..depth {{ ry(x[0]) q[0] ry(x[1]) q[1] cx q[0], q[1] }}
  return read [Z(q[0]), Z(q[1])]
}}
model M {{
  input x: real[2]
  target y: real[3]
  qubits q[3]
  ry(x[0]) q
  return concat({0}, {1})
}}
"""
    programs = [
        checked(text.format(*calls))[0].models["M"].program.body
        for calls in (
            ("read tfim(1, 0.5)(q)", "c([0.1, 0.2])"),
            ("read tfim(h: 0.5, J: 1)(q)", "c(depth: 2)([0.1, 0.2])"),
            ("read tfim(false)(1, 0.5)(q)", "c(2)([0.1, 0.2])"),
        )
    ]
    assert programs[0] == programs[1] == programs[2]
    other = checked(text.format("read tfim(true)(1, 0.5)(q)", "c(2)([0.1, 0.2])"))[0]
    assert other.models["M"].program.body != programs[0]


CHOICES = """
use std.readout.each_z
use std.ansatz.su2_ring
readout first_two on q: qubit[n] = [Z(q[i]) for i in 0..2]

model M(seen: readout = each_z, block: ansatz = su2_ring, act: activation = relu) {
  input x: real[3]
  target y: real[...]
  qubits q[3]
  controller steer = mlp(4, act)
  apply block(steer(x)) to q
  return read seen(q)
}
"""


@pytest.mark.parametrize(
    ("settings", "width", "kept"),
    [
        ({"seen": "first_two"}, 2, "first_two"),
        ({"seen": "z_and_zz"}, 6, "z_and_zz"),  # of the library, without a `use`
        ({"seen": "each_z", "block": "sim_14"}, 3, "each_z"),
        ({"seen": "std.readout.z_and_zz"}, 6, "z_and_zz"),
    ],
)
def test_a_readout_and_an_ansatz_are_chosen_by_name(
    settings: dict[str, str], width: int, kept: str
) -> None:
    result, found = checked(CHOICES.replace("real[...]", f"real[{width}]"), settings)
    assert not [d for d in found if d.severity == "error"]
    program = result.models["M"].program
    assert program.outputs[0].value.type.shape == (width,)
    assert dict(program.settings)["seen"] == kept


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"seen": "z_and_z"}, "z_and_zz"),
        ({"seen": "nowhere_to_be_found"}, "qrlc stdlib"),
        ({"block": "each_z"}, ""),
        ({"seen": 3}, ""),
    ],
)
def test_a_name_that_stands_for_no_readout(settings: dict[str, str | int], says: str) -> None:
    result, found = checked(CHOICES.replace("real[...]", "real[3]"), settings)
    assert [d.code for d in found if d.severity == "error"] == ["E0312"] and not result.models
    assert says in str(found[0].help)
