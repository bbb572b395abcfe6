"""Figures of runs on simulated devices: how long a loop takes, how well errors are predicted.

    python benchmarks/devices.py                    # times, and predictions under noise
    python benchmarks/devices.py --run runs/QRNN-1  # accuracy of a trained model too

A model for the last: qrlc train examples/qrnn/rows.qrl --set n=6 --epochs 2
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qrlang.backends.reference import initial_weights
from qrlang.driver import Compilation
from qrlang.hardware.batch import items_of_feed, score, weights_of_run
from qrlang.hardware.device import Device, DeviceOptions
from qrlang.hardware.loop import Item, Plan, Result, run
from qrlang.hardware.mitigation import mitigation
from qrlang.hardware.preflight import preflight, rms
from qrlang.hardware.simulator import Simulator
from qrlang.hardware.target import DeviceTarget
from qrlang.ir.program import Program
from qrlang.passes import GATES, run_passes
from qrlang.targets import load

ROWS = Path(__file__).parents[1] / "examples" / "qrnn" / "rows.qrl"


def device(target: str, name: str, noise: str = "") -> Device:
    found = load(target)
    assert isinstance(found, DeviceTarget)
    return found.open_device(name, DeviceOptions(noise=noise))


def rows(n: int) -> Program:
    (model,) = Compilation.of_bytes(str(ROWS), ROWS.read_bytes(), {"n": n}).models()
    return run_passes(model.program, GATES)


def images(count: int, time: int) -> list[Item]:
    lot = np.random.default_rng(0)
    return [Item({"rows": lot.uniform(0, 1, (time, 28))}) for _ in range(count)]


def timed(work: Callable[[], Result]) -> tuple[Result, str]:
    wall, cpu = time.perf_counter(), time.process_time()
    done = work()
    return done, f"{time.perf_counter() - wall:5.1f} s ({time.process_time() - cpu:.1f} s of CPU)"


def times() -> None:
    """32 sequences of 16 steps with 8 qubits and 2 layers."""
    program = rows(8)
    w, batch = initial_weights(program, 1), images(32, 16)
    print("n = 8, T = 16, L = 2, 32 sequences")
    for target, name in (("qiskit", "aer"), ("braket", "braket_sv")):
        for shots in (1000, 0):
            of = device(target, name)
            done, took = timed(lambda: run(program, w, batch, of, Plan(shots, 1)))  # noqa: B023
            print(f"  {name:10} {shots or 'exact':>6}  {done.counts.jobs} jobs, "
                  f"{done.counts.circuits} circuits  {took}")  # fmt: skip


def predictions() -> None:
    """What the preflight says against what is then seen, over all readouts."""
    program = rows(4)
    w, batch = initial_weights(program, 1), images(24, 6)
    exact = run(program, w, batch, Simulator(), Plan(0))
    print("n = 4, T = 6, 24 sequences, 1000 shots: rms error of a readout, said / seen")
    for target, name, noise in (
        ("qiskit", "aer", ""), ("qiskit", "aer", "0.003"), ("qiskit", "aer", "0.01"),
        ("qiskit", "aer", "fake_manila"),
        ("braket", "braket_dm", "depolarizing=0.003,readout=0.01"),
    ):  # fmt: skip
        of = device(target, name, noise)
        for wanted in ("", "readout,zne") if noise else ("",):
            plan = Plan(1000, 1, mitigate=mitigation(wanted))
            said = [m.error or 0.0 for m in preflight(program, w, batch, of, plan).moments]
            seen = rms(exact, run(program, w, batch, of, plan))
            print(f"  {noise or 'no noise':32} {wanted or '-':12} {_pairs(said, seen)}  all "
                  f"{_whole(said) / _whole(seen):.2f}")  # fmt: skip


def _pairs(said: Sequence[float], seen: Sequence[float]) -> str:
    return " ".join(f"{a:.3f}/{b:.3f}" for a, b in zip(said, seen, strict=True))


def _whole(errors: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def trained(folder: str, data: str | None, count: int) -> None:
    """Accuracy on devices against the simulator's, on the same images."""
    from qrlang.training import start
    from qrlang.training.run import Run

    of_run = Run.open(folder)
    program = run_passes(of_run.program(), GATES)
    w = weights_of_run(of_run.folder, program)
    feed: Any = start.reopen(of_run, of_run.settings(), program, of_run.about(), data)
    batch, answers = items_of_feed(feed, program, "test", count)
    kind = program.targets[-1].type.kind
    exact = run(program, w, batch, Simulator(), Plan(0))
    right = score(exact.outputs, answers, kind)["accuracy"]
    print(f"{folder}: {len(batch)} test images, exactly {100 * right:.1f} %")
    for noise, some in (("", len(batch)), ("0.001", 16)):  # noise takes a hundred times as long
        of, plan, few = device("qiskit", "aer", noise), Plan(4000, 1), batch[:some]
        said = preflight(program, w, few, of, plan).moments[-1].error or 0.0
        done, took = timed(lambda: run(program, w, few, of, plan))  # noqa: B023
        found = score(done.outputs, answers[:some], kind)["accuracy"]
        seen = rms(exact, done)[-1]
        print(f"  aer, noise {noise or 'none':6} {some} images, 4000 shots: {100 * found:.1f} %, "
              f"last readouts {said:.4f} said, {seen:.4f} seen ({said / seen:.2f})  "
              f"{took}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", help="a run of examples/qrnn/rows.qrl")
    parser.add_argument("--data-dir", help="where MNIST lies")
    parser.add_argument("--images", type=int, default=200)
    given = parser.parse_args()
    times()
    predictions()
    if given.run:
        trained(given.run, given.data_dir, given.images)


if __name__ == "__main__":
    main()
