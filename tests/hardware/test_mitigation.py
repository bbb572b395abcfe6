"""Errors of a device are said beforehand, and mitigation makes them smaller."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hardware_tools import Mortal, difference, example, items, of_text, right, weights

from qrlang.backends.braket.devices import open_device as open_braket
from qrlang.backends.braket.gates import NATIVE, Call, inverse
from qrlang.backends.qiskit import open_device as open_qiskit
from qrlang.hardware.checkpoint import Journal
from qrlang.hardware.device import Device, DeviceError, DeviceOptions, Slot, Step, Template, Work
from qrlang.hardware.jobs import _at_no_noise
from qrlang.hardware.loop import Plan, Result, run
from qrlang.hardware.mitigation import (
    Confusion,
    Mitigation,
    all_places,
    extrapolated,
    misread,
    mitigation,
    recorded,
)
from qrlang.hardware.noisy import Noisy
from qrlang.hardware.preflight import preflight, rms
from qrlang.hardware.readings import BitMean, Distribution, Patterns, Share, Word, evaluate
from qrlang.hardware.simulator import Simulator

PROGRAM = example("qrnn/rows.qrl")
W = weights(PROGRAM)
SHOTS = 4000


def device(name: str) -> Device:
    kind, _, noise = name.partition(" ")
    options = DeviceOptions(noise=noise)
    return open_qiskit(kind, options) if kind == "aer" else open_braket(kind, options)


def seen(of: Device, wanted: str, batch: Any, shots: int = SHOTS) -> tuple[float, Result]:
    exact = run(PROGRAM, W, batch, Simulator(), Plan(0))
    found = run(PROGRAM, W, batch, of, Plan(shots, 1, mitigate=mitigation(wanted)))
    return float(np.mean(rms(exact, found))), found


@pytest.mark.parametrize("name", ["aer fake_manila", "braket_dm depolarizing=0.003,readout=0.05"])
def test_each_brings_readouts_nearer(name: str) -> None:
    of, batch = device(name), items(PROGRAM, (2,) * 6)
    plain = seen(of, "", batch)[0]
    readout, zne, all_of_it = (seen(of, m, batch)[0] for m in ("readout", "zne", "readout,zne"))
    assert readout < 0.9 * plain
    assert zne < plain
    assert all_of_it < 0.5 * plain


@pytest.mark.parametrize("name", ["aer", "braket_sv"])
def test_without_noise_nothing_changes_beyond_shot_noise(name: str) -> None:
    of, batch = device(name), items(PROGRAM, (2,) * 6)
    plain = seen(of, "", batch)[0]
    for wanted in ("readout", "zne", "zne:linear", "readout,zne:exponential"):
        assert seen(of, wanted, batch)[0] < 2 * plain  # a line through three values: 1.2 times


@pytest.mark.parametrize("wanted", ["readout", "zne"])
def test_exactly_nothing_changes_without_noise(wanted: str) -> None:
    batch = items(PROGRAM, (2,))
    found = seen(device("braket_sv"), wanted, batch, 0)[1]
    assert difference(found.outputs, right(PROGRAM, batch, W)) < 1e-9


def test_what_it_takes_is_in_the_preflight() -> None:
    batch, of = items(PROGRAM, (3,) * 2), Mortal()
    plan = Plan(50, 1, mitigate=mitigation("readout,zne"))
    said = preflight(PROGRAM, W, batch, of, plan, errors=False)
    done = run(PROGRAM, W, batch, of, plan)
    assert said.circuits == of.circuits == done.counts.circuits == 3 * 6 + 2
    assert (said.jobs, said.executions) == (of.jobs, of.executions)
    assert said.jobs == 3 + 1  # the qubits are read once, before all else


def test_killed_after_the_calibration(tmp_path: Any) -> None:
    batch, plan = items(PROGRAM, (3, 2)), Plan(50, 1, mitigate=mitigation("readout,zne"))
    whole = Mortal()
    expected = run(PROGRAM, W, batch, whole, plan)
    first = Mortal(2)
    with pytest.raises(Exception):  # noqa: B017
        run(PROGRAM, W, batch, first, plan, Journal(tmp_path / "j", {}))
    second = Mortal()
    again = run(PROGRAM, W, batch, second, plan, Journal(tmp_path / "j", {}))
    assert difference(expected.outputs, again.outputs) == 0
    assert first.executions + second.executions == whole.executions


def test_the_chances_are_undone_exactly() -> None:
    up, down = np.array([0.02, 0.1]), np.array([0.07, 0.03])
    confusion = Confusion(up, down)
    right = np.array([0.5, 0.1, 0.15, 0.25])
    flip = [np.array([[1 - a, b], [a, 1 - b]]) for a, b in zip(up, down, strict=True)]
    read = np.kron(*flip) @ right
    np.testing.assert_allclose(confusion.distribution(read[None], (0, 1))[0], right, atol=1e-12)
    bits = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
    value = confusion.value(bits[:, 0], 0) * confusion.value(bits[:, 1], 1)
    assert read @ value == pytest.approx(right @ [1, -1, -1, 1])
    with pytest.raises(DeviceError, match="the device's qubit 7 is read as if at random"):
        misread(np.array([0, 0.5]), np.array([0, 0.48]), (3, 7))


@pytest.mark.parametrize("asked", ["kept", "when"])
def test_they_are_undone_among_some_of_the_shots(asked: str) -> None:
    """Those that a selection has left, or under a bit: as for an expectation, so for a
    distribution."""
    confusion = Confusion(np.array([0.1]), np.array([0.3]))
    lot = np.random.default_rng(0)
    inner = lot.random(200_000) < 0.5
    right = np.where(inner, lot.random(200_000) < 0.8, lot.random(200_000) < 0.1)
    read = np.where(right, lot.random(200_000) > 0.3, lot.random(200_000) < 0.1)
    bits = np.stack([read, inner], axis=1).astype(np.uint8)[None]
    wanted = {asked: ((0, 1),)}
    quantities = (Word(((0, "Z"),), **wanted), Distribution((0,), **wanted))
    ((word, shares),) = evaluate(quantities, bits, None, 1, confusion=confusion)
    assert word[0] == pytest.approx(1 - 2 * 0.8, abs=0.01)
    np.testing.assert_allclose(shares, [0.2, 0.8], atol=0.01)


def test_extrapolation() -> None:
    decays = [np.array([0.8 * 0.9**s, -0.5 * 0.7**s]) for s in (1, 3, 5)]
    np.testing.assert_allclose(extrapolated(decays, Mitigation(zne=True), 0, True), [0.8, -0.5])
    line = [np.array([0.6 - 0.04 * s]) for s in (1, 3, 5)]
    linear = Mitigation(zne=True, shape="linear")
    np.testing.assert_allclose(extrapolated(line, linear, 0, True), [0.6])
    noise = [np.array([0.01]), np.array([-0.02]), np.array([0.005])]
    assert abs(extrapolated(noise, Mitigation(zne=True), 1000, True)[0]) < 0.03
    parts = [np.array([0.5 + 0.02 * s, 0.5 - 0.02 * s]) for s in (1, 3, 5)]
    np.testing.assert_allclose(extrapolated(parts, Mitigation(zne=True), 0, False), [0.5, 0.5])


def test_what_undoes_a_gate_of_braket() -> None:
    from braket.default_simulator.gate_operations import BRAKET_GATES

    plain = {"cnot": 2, "cy": 2, "cz": 2, "swap": 2, "iswap": 2, "ccnot": 3, "cswap": 3}
    turns = ("cphaseshift", "xx", "yy", "zz", "xy")
    assert {*plain, *turns} <= NATIVE
    for call in (*(Call(k, tuple(range(n))) for k, n in plain.items()),
                 *(Call(k, (0, 1), (0.7,)) for k in turns)):  # fmt: skip
        back, size = inverse(call), 1 << len(call.qubits)
        there, again = (BRAKET_GATES[c.name](c.qubits, *c.angles).matrix for c in (call, back))
        if there.shape[0] == size:  # without its controls
            np.testing.assert_allclose(again @ there, np.eye(size), atol=1e-12)


def test_folded_circuits_mean_the_same() -> None:
    steps = (Step("h", (0,)), Step("rzz", (0, 1), (Slot(0),)), Step("rx", (1,), (Slot(1),), (0,)),
             Step("iswap", (1, 2)), Step("rzx", (2, 0), (0.4,)))  # fmt: skip
    angles = np.array([[0.3, 1.1], [2.0, -0.4]])
    plain = Simulator().probabilities(Template(3, 0, steps, 2), angles)
    folded = Template(3, 0, steps, 2, fold=3)
    np.testing.assert_allclose(device("braket_sv").probabilities(folded, angles), plain, atol=1e-9)
    aer = open_qiskit("aer", DeviceOptions(noise="0.0001"))
    assert aer.footprint(folded).two_qubit == 3 * aer.footprint(Template(3, 0, steps, 2)).two_qubit


@pytest.mark.parametrize(
    ("wanted", "words"), [("reedout", "did you mean `readout`"), ("zne:cubic", "there is no")]
)
def test_what_there_is_not(wanted: str, words: str) -> None:
    with pytest.raises(DeviceError, match=words):
        mitigation(wanted)


# --- errors, said beforehand --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shots", "wanted"),
    [("aer 0.01", 1000, ""), ("aer fake_manila", 1000, ""), ("aer 0.01", 1000, "readout"),
     ("braket_dm depolarizing=0.003,readout=0.02", 1000, ""), ("braket_dm 0.01", 0, "")],
)  # fmt: skip
def test_errors_of_the_device_are_as_predicted(name: str, shots: int, wanted: str) -> None:
    of, batch = device(name), items(PROGRAM, (3,) * 16)
    plan = Plan(shots, 3, mitigate=mitigation(wanted))
    said = preflight(PROGRAM, W, batch, of, plan)
    exact = run(PROGRAM, W, batch, Simulator(), Plan(0))
    found = rms(exact, run(PROGRAM, W, batch, of, plan))
    for moment, error in zip(said.moments, found, strict=True):
        assert moment.error == pytest.approx(error, rel=0.3)


def test_states_and_density_matrices_agree() -> None:
    """Trajectories, on average, are the density matrix."""
    steps = tuple(
        s
        for t in range(3)
        for s in (*(Step("ry", (q,), (0.4 + t + q,)) for q in range(3)),
                  Step("x", (1,), controls=(0,)), Step("rzz", (1, 2), (0.7,)),
                  Step("amplitude_damping", (0,), (0.1,)))
    )  # fmt: skip
    template, angles = Template(3, 0, steps, 0), np.zeros((1, 0))
    exact = Noisy(0.02, 0.05, {9: (0.03,) * 3}, 8).probabilities(template, angles)
    drawn = Noisy(0.02, 0.05, {9: (0.03,) * 3}, 4, seed=1)
    many = np.mean([drawn.probabilities(template, np.zeros((500, 0))) for _ in range(4)], (0, 1))
    np.testing.assert_allclose(many, exact[0], atol=0.01)


NOISE = """\
use std.readout.each_z
model M(n: int = 2) {
  input  x: seq[real[1]]
  qubits q[n]
  param  w: angle[2]
  step x_t in x {
    ry(x_t[0] + read Z(q[1])) q[0]
    cx q[0], q[1]
    depolarizing(0.05) q[0]
    amplitude_damping(0.2) q[1]
    rx(w[0]) q[1]
  }
  return read each_z(q)
}
"""


@pytest.mark.parametrize("loop", ["closed", "open", "picard"])
def test_noise_of_a_program_in_every_loop(loop: str) -> None:
    program = of_text(NOISE)
    w, batch = weights(program), items(program, (3, 2))
    expected = right(program, batch, w)
    for of in (Simulator(), open_braket("braket_dm")):
        assert difference(run(program, w, batch, of, Plan(0, loop=loop)).outputs, expected) < 1e-9


def test_each_quantity_goes_to_no_noise_in_its_own_way() -> None:
    """A bit's mean is no distribution, and not every scale sees every pattern."""
    zne = Mitigation(zne=True, shape="linear")
    falling = [np.array([x]) for x in (0.5, 0.3, 0.1)]
    np.testing.assert_allclose(_at_no_noise(falling, zne, 0, BitMean(0)), [0.6])
    np.testing.assert_allclose(_at_no_noise(falling, zne, 0, Share(((0, 1),))), [0.6])
    rising = [np.array([x]) for x in (0.0, 0.2, 0.4)]
    np.testing.assert_allclose(_at_no_noise(rising, zne, 0, Share(((0, 1),))), [0.0])
    tables = [np.array(x) for x in ([0, 1.0], [0, 0.9, 1, 0.1], [0, 0.8, 1, 0.2])]
    np.testing.assert_allclose(_at_no_noise(tables, zne, 0, Patterns((0,))), [0, 1.0, 1, 0.0])


def test_noise_of_the_model_itself_is_not_folded() -> None:
    """It can't be undone, and is part of what is asked for."""
    pytest.importorskip("qiskit_aer")
    from qiskit import QuantumCircuit
    from qiskit_aer.noise import depolarizing_error

    from qrlang.backends.qiskit.transpiled import folded

    circuit = QuantumCircuit(2)
    circuit.cx(0, 1)
    circuit.append(depolarizing_error(0.1, 2).to_instruction(), [0, 1])
    assert [i.operation.name for i in folded(circuit, 3).data].count("cx") == 3
    assert len(folded(circuit, 3).data) == 4


HALF = (Step("rx", (0,), (np.pi / 2,)),) * 2


@pytest.mark.parametrize("end", ["reset", "", "h"])
def test_a_bit_of_the_middle_is_misread_once(end: str) -> None:
    """On a qubit that is reset, that nothing happens to, or that goes on; and its gates have the
    noise of any other."""
    steps = (*HALF, Step("measure", (0,), bit=0), *((Step(end, (0,)),) if end else ()),
             Step("x", (1,), when=((0, 1),)))  # fmt: skip
    work = Work(Template(2, 1, steps, 0), np.zeros((1, 0)), 40_000)
    for noise, ones in (("readout=0.1", 0.9), ("depolarizing=0.1", 0.8756)):
        of = open_braket("braket_dm", DeviceOptions(noise=noise))
        ((row,),) = of.submit([work], 1).result()
        assert np.mean(row[:, 2]) == pytest.approx(ones, abs=0.01)
        if noise.startswith("readout"):  # what is read at the end is misread once more
            assert np.mean(row[:, 1] == row[:, 2]) == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("turn", [0.0, np.pi])
@pytest.mark.parametrize("when", [((0, 1),), ((0, 1), (1, 0))])
def test_a_gate_under_bits_has_the_noise_of_one(when: Any, turn: float) -> None:
    """Where the bits are so, and none elsewhere; one on two qubits as often as it is folded."""
    p, fold = 0.03, 3
    for gate, times in ((Step("ry", (2,), (turn,), when=when), 1),
                        (Step("rxx", (2, 3), (turn,), when=when), fold)):  # fmt: skip
        steps = (Step("h", (0,)), Step("measure", (0,), bit=0),
                 Step("h", (1,)), Step("measure", (1,), bit=1), gate)  # fmt: skip
        work = Work(Template(4, 2, steps, 0, fold=fold), np.zeros((1, 0)), 40_000)
        of = open_braket("braket_dm", DeviceOptions(noise=f"depolarizing={p}"))
        ((row,),) = of.submit([work], 1).result()
        here = np.all([row[:, 4 + bit] == value for bit, value in when], axis=0)
        wrong = (1 - (1 - 4 * p / 3) ** times) / 2
        assert np.mean(row[here, 2]) == pytest.approx(abs((turn > 0) - wrong), abs=0.01)
        assert np.mean(row[~here, 2]) == 0


# --- bits of the middle that were misread --------------------------------------------------------


def test_bits_that_are_only_kept_are_undone() -> None:
    """In what they are read for, and in what selects among the shots."""
    lot, shots = np.random.default_rng(0), 400_000
    up, down = 0.06, 0.12
    right = (lot.random((2, shots)) < [[0.3], [0.6]]).astype(int)
    right[1] ^= right[0] & (lot.random(shots) < 0.5)
    qubit = (lot.random(shots) < 0.2 + 0.6 * right[0]).astype(int)
    read = np.where(right, lot.random((2, shots)) > down, lot.random((2, shots)) < up)
    bits = np.stack([qubit, *read], axis=1).astype(np.uint8)[None]
    true = np.stack([qubit, *right], axis=1).astype(np.uint8)[None]
    none, both = np.zeros(1), {0: (up, down), 1: (up, down)}
    kept = ((0, 1),)
    asked = (BitMean(1), BitMean(1, kept=kept), Share(((0, 1), (1, 0))), Share(((1, 1),), kept),
             Word(((0, "Z"),), when=kept), Distribution((0,), kept=kept), Patterns((0, 1)),
             Patterns((1,), kept=kept))  # fmt: skip
    (exact,) = evaluate(asked, true, None, 1)
    (plain,) = evaluate(asked, bits, None, 1)
    (found,) = evaluate(asked, bits, None, 1, confusion=Confusion(none, none, both))
    for a, b, c in zip(exact, plain, found, strict=True):
        np.testing.assert_allclose(c, a, atol=0.006)
        assert np.max(np.abs(b - a)) > 0.008
    (steered,) = evaluate(asked, bits, None, 1, confusion=Confusion(none, none))
    for b, c in zip(plain, steered, strict=True):
        np.testing.assert_allclose(b, c, atol=1e-12)


def test_which_bits_of_the_middle_are_undone() -> None:
    """Not one that steers a gate, nor one that was not always read."""
    steps = (*HALF, Step("measure", (0,), bit=0), Step("h", (1,)), Step("measure", (1,), bit=1),
             Step("x", (2,), when=((1, 1),)), Step("measure", (2,), bit=2, when=((1, 0),)),
             Step("measure", (2,), bit=3), Step("h", (0,)))  # fmt: skip
    template = Template(3, 4, steps, 0)
    assert recorded(Simulator(), template) == {0: 0, 3: 2}
    aer = open_qiskit("aer", DeviceOptions(noise="fake_manila"))
    found = recorded(aer, template)
    assert found.keys() == {0, 3}
    assert {*found.values()} <= {*all_places(aer, template)}


@pytest.mark.parametrize("seed", range(6))
def test_where_no_shot_is_left_but_by_mistake(seed: int) -> None:
    """What misreading has put there is taken away again: that is no more, or less, than nothing,
    and nothing is divided by it."""
    lot = np.random.default_rng(seed)
    bits = (lot.random((1, 1000, 2)) < [0.5, 0.03]).astype(np.uint8)
    none, never = np.zeros(1), ((0, 1),)
    less = Confusion(none, none, {0: (0.03, 0.03)})
    asked = (Word(((0, "Z"),), never), BitMean(0, never), Distribution((0,), never))
    ((word, bit, table),) = evaluate(asked, bits, None, 1, confusion=less)
    assert abs(word[0]) <= 1 and abs(bit[0]) <= 1.1
    assert np.all(table >= 0) and np.sum(table) <= 1 + 1e-12
    for q in (Word(((0, "Z"),), kept=never), Distribution((0,), kept=never),
              Patterns((0,), kept=never), Share(((0, 1),), never)):  # fmt: skip
        try:
            ((found,),) = evaluate((q,), bits, None, 1, confusion=less)
        except DeviceError as error:
            assert "no shots" in str(error)
            assert np.mean(bits[0, :, 1]) < 0.031
        else:
            assert np.all(np.abs(found) <= 1) and np.mean(bits[0, :, 1]) > 0.029


KEPT = """\
model M() {{
  input x: seq[real[1]]
  qubits q[2], a[1]
  param w: angle[2]
  step x_t in x {{
    ry(w[0] + x_t[0]) q[0]
    cx q[0], a[0]
    ry(w[1]) a[0]
    {}
    rx(0.4) q[1]
    cx q[1], q[0]
  }}
  return read [Z(q[0]), X(q[1])]
}}
"""


@pytest.mark.parametrize(
    "kind", ["postselect a[0] == 0\n    reset a", "readout z = Z(a[0]) weak 0.8"]
)
@pytest.mark.parametrize("name", ["aer 0.08", "braket_dm readout=0.08"])
def test_a_model_that_keeps_bits(name: str, kind: str) -> None:
    text = KEPT.format(kind)
    if "weak" in kind:
        text = text.replace("rx(0.4)", "rx(0.4 + read z)")
    program = of_text(text)
    w, batch, of = weights(program), items(program, (2,) * 2), device(name)
    if name.startswith("aer"):  # with no errors but of readings
        from qiskit_aer.noise import NoiseModel, ReadoutError

        of._noise = NoiseModel()  # type: ignore[attr-defined]
        of._noise.add_all_qubit_readout_error(  # type: ignore[attr-defined]
            ReadoutError([[0.97, 0.03], [0.13, 0.87]])
        )
    exact, shots = run(program, w, batch, Simulator(), Plan(0)), 40_000 if "dm" in name else 4000

    def off(wanted: str) -> float:
        plan = Plan(shots, 3, mitigate=mitigation(wanted))
        return float(np.mean(rms(exact, run(program, w, batch, of, plan))))

    assert off("readout") < 0.5 * off("")
