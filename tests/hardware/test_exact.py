"""With exact readouts, a device gives the reference interpreter's numbers."""

from __future__ import annotations

import numpy as np
import pytest
from device_tools import used
from hardware_tools import difference, example, items, of_text, right, weights
from hypothesis import HealthCheck, assume, given, settings
from strategies import circuits, programs

from qrlang.backends.qiskit import open_device, target
from qrlang.backends.reference.errors import RunError
from qrlang.hardware.batch import Item
from qrlang.hardware.device import Device
from qrlang.hardware.loop import Plan, run
from qrlang.hardware.simulator import Simulator
from qrlang.hardware.target import refused
from qrlang.ir.program import Program
from qrlang.ir.text import parse_program
from qrlang.passes import GATES, run_passes


@pytest.fixture(scope="module")
def aer() -> Device:
    return open_device("aer")


def _check(program: Program, device: Device, lengths: tuple[int, ...] = (2, 3)) -> None:
    program = run_passes(program, GATES)
    assume(not list(refused(program, target)))
    assume("noise" not in used(program))  # our simulator says what would be without
    w, batch = weights(program), items(program, lengths)
    try:
        expected = right(program, batch, w)
    except RunError:  # numbers that are not finite
        assume(False)
    found = run(program, w, batch, device, Plan(0))
    assert difference(expected, found.outputs) < 1e-9


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(programs(qubits=3))
def test_generated_programs(program: Program) -> None:
    _check(program, Simulator())


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(circuits())
def test_every_gate_on_aer(program: Program) -> None:
    _check(program, open_device("aer"), (1,))


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(programs(qubits=2, mixed=True))
def test_generated_programs_that_measure(program: Program) -> None:
    from qrlang.hardware.device import DeviceError

    try:
        device = Simulator()
        device.largest = 1 << 12
        _check(program, device, (1, 2))
    except DeviceError as error:
        # Too large to be exact, or one of the few that are refused by name.
        assert any(x in str(error) for x in ("too large", "post-selection", "measured bits"))


MEASURED = """\
use std.readout.each_z
model M(n: int = 2) {
  input  x: seq[real[1]]
  target y: real[1]
  qubits memory[n], probe[1]
  step x_t in x {
    ry(x_t[0]) memory[0]
    cx memory[0], probe[0]
    let b = measure probe[0]
    if b { ry(0.7) memory[1]  x probe[0] }
    cx memory[1], memory[0]
  }
  return read each_z(memory)
}
"""


def test_a_measured_program_on_aer(aer: Device) -> None:
    program = of_text(MEASURED)
    w, batch = weights(program), items(program, (3, 1, 2))
    assert difference(right(program, batch, w), run(program, w, batch, aer, Plan(0)).outputs) < 1e-9
    sampled = run(program, w, batch, aer, Plan(20_000, seed=3))
    assert difference(right(program, batch, w), sampled.outputs) < 0.03


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_angle_that_is_a_bit_from_the_second_moment_on(order: tuple[int, int]) -> None:
    """In the first it is a number, and its gate is one with its neighbour."""
    gates = ["ry(h[0] + 0.3) q[0]", "rz(w + x_t[0]) q[0]"]
    text = f"""
model Carried() {{
  input x: seq[real[1]]
  qubits q[2]
  param w: angle
  carry h: real[1] = 0
  step x_t in x {{
    h q[0]
    {gates[order[0]]}
    {gates[order[1]]}
    cx q[0], q[1]
    let b = measure q[1]
    h <- [b]
  }}
  return read [X(q[0]), Z(q[0])]
}}
"""
    program = of_text(text)
    w, batch = weights(program), items(program, (3, 2))
    found = run(program, w, batch, Simulator(), Plan(0))
    assert difference(right(program, batch, w), found.outputs) < 1e-9


@pytest.mark.parametrize("loop", ["open", "picard"])
@pytest.mark.parametrize("name", ["qrnn/rows.qrl", "qlstm/qlstm.qrl", "language_model/word.qrl"])
def test_the_other_loops_end_where_the_closed_one_does(name: str, loop: str) -> None:
    program = example(name)
    w, batch = weights(program), items(program, (3, 2))
    found = run(program, w, batch, Simulator(), Plan(0, loop=loop))
    assert difference(right(program, batch, w), found.outputs) < 1e-9
    if loop == "open":
        assert found.counts.jobs == 1


@pytest.mark.parametrize("loop", ["closed", "open", "picard"])
def test_a_model_that_reads_nothing_from_a_circuit(loop: str) -> None:
    program = of_text(
        "model M { input x: seq[real[2]]  carry h: real[2] = 0  layer l = linear(2)"
        "  step v in x { h <- tanh(l(v, h)) }  return h }"
    )
    w, batch = weights(program), items(program, (3, 2))
    found = run(program, w, batch, Simulator(), Plan(0, loop=loop))
    assert difference(right(program, batch, w), found.outputs) < 1e-9
    assert found.counts.jobs == 0


SAME_BIT_TWICE = """
program nested {
  input %rows.0 : seq[real[1]]
  qubits q[1] at q0

  alloc q0
  loop step (%row.1 : real[1] in %rows.0) {
    %b.2 : bit = measure q0
    if %b.2 {
      if %b.2 {
        unitary { x q0 }
      } else {
        unitary { h q0 }
      }
    } else {
      unitary { x q0 }
    }
  }
  %p.3 : real[2] = probs q0

  return %p.3
}
"""


def test_the_same_bit_twice() -> None:
    """An `if` within an `if` on one bit is decided: no control stands twice in a circuit."""
    program = parse_program(SAME_BIT_TWICE)
    batch = [Item({"rows": np.zeros((steps, 1))}, {}) for steps in (1, 2, 3)]
    found = run(program, {}, batch, Simulator(), Plan(0))
    assert difference(right(program, batch, {}), found.outputs) < 1e-12
    assert [o[""].round().tolist() for o in found.outputs] == [[0, 1], [1, 0], [0, 1]]
