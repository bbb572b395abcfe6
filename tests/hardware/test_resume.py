"""A run that was killed goes on: the same numbers, and nothing is run twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from hardware_tools import Killed, Mortal, difference, example, items, weights

from qrlang.hardware.checkpoint import Journal
from qrlang.hardware.device import DeviceError, Limits
from qrlang.hardware.loop import Plan, run

NAME, LENGTHS, PLAN = "qrnn/rows.qrl", (4, 2, 4), Plan(50, seed=3)
ABOUT = {"model": "m"}


@pytest.mark.parametrize("middle", [False, True], ids=["between", "within"])
@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("loop", ["closed", "picard"])
def test_killed_at_every_job(tmp_path: Path, at: int, middle: bool, loop: str) -> None:
    program = example(NAME)
    w, batch, plan = weights(program), items(program, LENGTHS), Plan(50, 3, loop)
    whole = Mortal()
    expected = run(program, w, batch, whole, plan)
    path = tmp_path / "journal.jsonl"
    first = Mortal(at, middle)
    if at < whole.jobs:
        with pytest.raises(Killed):
            run(program, w, batch, first, plan, Journal(path, ABOUT))
    second = Mortal()
    again = run(program, w, batch, second, plan, Journal(path, ABOUT))
    assert difference(expected.outputs, again.outputs) == 0
    assert first.executions + second.executions == whole.executions
    assert first.circuits + second.circuits == whole.circuits == expected.counts.circuits


def test_a_line_cut_short_is_left_out(tmp_path: Path) -> None:
    program = example(NAME)
    w, batch = weights(program), items(program, LENGTHS)
    path = tmp_path / "journal.jsonl"
    expected = run(program, w, batch, Mortal(), PLAN, Journal(path, ABOUT))
    path.write_bytes(path.read_bytes()[:-20])
    device = Mortal()
    again = run(program, w, batch, device, PLAN, Journal(path, ABOUT))
    assert device.jobs == 1
    assert difference(expected.outputs, again.outputs) == 0
    assert run(program, w, batch, Mortal(0), PLAN, Journal(path, ABOUT)).counts.fetched == 4


def test_another_run_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "j", {"seed": 1})
    with pytest.raises(DeviceError, match="another run: seed differ"):
        Journal(tmp_path / "j", {"seed": 2})


def test_jobs_keep_to_the_limits() -> None:
    program = example(NAME)
    w, batch = weights(program), items(program, (3,) * 7)
    plain = run(program, w, batch, Mortal(), Plan(0))
    small = Mortal()
    small.limits = Limits(qubits=22, circuits=3)
    found = run(program, w, batch, small, Plan(0))
    assert found.counts.jobs == 9  # 7 circuits a moment, 3 at a time
    assert difference(plain.outputs, found.outputs) < 1e-12
    small.limits = Limits(qubits=22, executions=100)
    assert run(program, w, batch, small, Plan(40)).counts.jobs == 12
    small.limits = Limits(qubits=22, shots=30)
    with pytest.raises(DeviceError, match="40 shots are more"):
        run(program, w, batch, small, Plan(40))


def test_a_journal_that_has_grown_is_made_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no checkpoint will ask for again is forgotten; the rest stays, also for the next one."""
    from qrlang.hardware import checkpoint

    path = tmp_path / "journal.jsonl"
    journal = Journal(path, ABOUT)
    for job in range(6):
        journal.sent(job, f"ticket-{job}")
        journal.answered(job, [[[0.5] * 50]], of=job + 1)
    journal.forget(4)
    assert len(path.read_bytes().splitlines()) == 13  # short enough to be left alone
    monkeypatch.setattr(checkpoint, "LONG", 100)
    journal.forget(4)
    assert len(path.read_bytes().splitlines()) == 5
    again = Journal(path, ABOUT)
    assert again.answer(3) is None
    assert again.answer(5, of=6) == [[[0.5] * 50]]
    assert again.tickets == {4: "ticket-4", 5: "ticket-5"}
    with pytest.raises(DeviceError, match="it was asked something else"):
        again.answer(5, of=9)
    with pytest.raises(DeviceError, match="another run"):
        Journal(path, {"model": "other"})
