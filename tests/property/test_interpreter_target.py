"""The interpreter as a target."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from qrlang.ir.text import parse_program
from qrlang.targets import TargetError, defaults, load

MODEL = SimpleNamespace(
    program=parse_program("""
program p {
  input %x.0 : seq[real]
  target %y.1 : real
  weight @w : real[1] = uniform(0.0, 1.0)
  qubits q[1] at q0
  alloc q0
  %w.2 : real[1] = weight @w
  loop step (%x.3 : real in %x.0) { unitary { ry(%x.3 + %y.1 + %w.2[0]) q0 } }
  %z.4 : real[1] = expect [Z0]
  return %z.4
}""")
)


def test_runs_one_sequence() -> None:
    target = load("reference")
    options = defaults(target)
    given = {"x": [0.1, 0.2], "y": 0.5}
    first = target.run(MODEL, given, options)[""]  # type: ignore[arg-type]
    again = target.run(MODEL, given, {**options, "method": "density"})[""]  # type: ignore[arg-type]
    other = target.run(MODEL, given, {**options, "seed": "1"})[""]  # type: ignore[arg-type]
    assert np.allclose(first, again) and not np.allclose(first, other)
    for inputs, changed, message in (
        ({"x": [0.1]}, {}, "the target 'y'"),
        (given, {"seed": "one"}, "the seed has to be a whole number, not `one`"),
        (given, {"method": "tensor"}, "no method 'tensor'"),
    ):
        with pytest.raises(TargetError, match=message):
            target.run(MODEL, inputs, {**options, **changed})  # type: ignore[arg-type]


def test_loads_without_numpy(root: Path) -> None:
    code = (
        "import sys; from qrlang.targets import load; t = load('reference');"
        "assert t.features({})['measure'].yes and not t.features({})['extern'].yes;"
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
