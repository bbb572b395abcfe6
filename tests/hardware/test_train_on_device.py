"""`qrlc train --target …`: what it takes is said first, and a run that was killed pays nothing
twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from cli_tools import Done, qrlc  # noqa: E402
from hardware_tools import Mortal  # noqa: E402
from training_tools import project, same, weights  # noqa: E402

from qrlang.hardware.budget import Budget  # noqa: E402
from qrlang.hardware.device import DeviceError, Step  # noqa: E402
from qrlang.hardware.gradient.processor import Processor  # noqa: E402
from qrlang.hardware.questions import Ask  # noqa: E402
from qrlang.hardware.readings import Word  # noqa: E402
from qrlang.hardware.simulator import Simulator  # noqa: E402
from qrlang.training import on_device  # noqa: E402

SMALL = ["--batch", 4, "--epochs", 2, "--steps", 3, "--threads", 1, "--validation", 0.2]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return project(tmp_path, records=20)


def train(model: Path, out: str, *more: object, shots: int = 60) -> Done:
    given = SMALL if "--resume" not in more else []
    first = [model, "--out", model.parent / out] if given else []
    first += ["--shots", shots] if given and shots else []
    return qrlc("train", *first, *given, *more)


@pytest.mark.parametrize(
    ("target", "device", "optimizer", "more"),
    [
        ("braket", "braket_sv", "adam", []),
        ("qiskit", "aer", "spsa", []),
        ("braket", "braket_sv", "adam", ["--mitigate", "readout,zne"]),
        ("braket", "braket_sv", "adam", ["--mitigate", "twirl:3"]),
    ],
    ids=["adam", "spsa", "mitigated", "twirled"],
)
def test_what_is_said_is_what_happens(
    model: Path, target: str, device: str, optimizer: str, more: list[object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from qrlang.hardware.jobs import Counts, Desk

    seen: list[Counts] = []
    plain = Desk.ask

    def ask(self: Desk, asks: Any) -> Any:
        found = plain(self, asks)
        if not self.rehearsal:
            seen[:] = [self.counts]
        return found

    monkeypatch.setattr(Desk, "ask", ask)
    where = ["--target", target, "--device", device, "--optimizer", optimizer, *more]
    said = train(model, "r", *where, "--dry-run", "--format", "json")
    assert said.code == 0, said.err
    total = said.data()["preflight"]["total"]
    assert not (model.parent / "r").exists()
    done = train(model, "r", *where)
    assert done.code == 0, done.err
    (counts,) = seen
    assert total == {"jobs": counts.jobs, "circuits": counts.circuits,
                     "executions": counts.executions}  # fmt: skip
    assert f"{total['executions']:,} executions" in done.err
    result = json.loads((model.parent / "r/result.json").read_text())
    assert {k: result[k] for k in total} == total
    assert f"on the device: {total['circuits']:,} circuits" in done.out
    assert device in done.err


def test_more_noise_takes_more_time(model: Path) -> None:
    each = []
    for more in ([], ["--mitigate", "zne"]):
        said = train(model, "r", "--target", "qiskit", "--device", "fake_manila", "--dry-run",
                     "--format", "json", *more)  # fmt: skip
        page = said.data()["preflight"]
        total = page["total"]
        each.append((page["seconds"] - 2 * total["jobs"]) / total["executions"] - 255.51467e-6)
    assert each[1] > 1.5 * each[0] > 0  # a circuit's own


def test_exact_slopes_train_as_the_simulator_does(model: Path) -> None:
    more = ["--precision", "double", "--seed", 4]
    assert train(model, "a", *more, "--road", "plain", shots=0).code == 0
    done = train(model, "b", *more, "--target", "braket", shots=0)
    assert done.code == 0, done.err
    one, two = (weights(model.parent / x) for x in "ab")
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=1e-7, rtol=0)


@pytest.mark.parametrize(
    ("optimizer", "more", "deaths"),
    [
        ("adam", [], [(0, False), (4, True), (11, False), (15, True)]),
        ("spsa", [], [(7, True)]),
        ("adam", ["--mitigate", "readout"], [(13, True)]),
    ],
    ids=["adam", "spsa", "mitigated"],
)
def test_killed_and_resumed(
    model: Path, optimizer: str, more: list[object], deaths: list[tuple[int, bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Before a job and in the middle of one; between a checkpoint's steps too."""

    def opened(life: int = 10**9, middle: bool = False) -> Mortal:
        device = Mortal(life, middle)
        monkeypatch.setattr(on_device.Wanted, "open", lambda self, seed: device)
        return device

    where = ["--target", "braket", "--optimizer", optimizer, "--checkpoint", "2 steps", *more]
    whole = opened()
    assert train(model, "whole", *where).code == 0
    for at, middle in deaths:
        out = f"r{at}"
        first = opened(at, middle)
        assert train(model, out, *where).code != 0
        second = opened()
        again = train(model, out, "--resume", model.parent / out)
        assert again.code == 0, again.err
        assert same(model.parent / "whole", model.parent / out)
        assert first.executions + second.executions == whole.executions
        assert first.jobs + second.jobs == whole.jobs


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--max-shots", 1000], "executions are more than --max-shots 1,000"),
        (["--max-cost", 1], "the price is not known"),
        (["--max-cost", 1, "--price-task", 1], "is more than --max-cost 1.00"),
        (["--max-cost", 0, "--price-task", 1], "is more than --max-cost 0.00"),
        (["--device", "braket_vs"], "did you mean `braket_sv`?"),
        (["--device", "braket_dm", "--noise", "loud"], "no noise of Braket"),
        (["--set", "n=30"], "braket_sv` has 24"),
    ],
)
def test_what_is_refused(model: Path, more: list[object], words: str) -> None:
    done = train(model, "r", "--target", "braket", *more)
    assert done.code == 1
    assert words in done.err
    assert "Traceback" not in done.err
    assert not (model.parent / "r").exists()


def test_what_cannot_be_trained(tmp_path: Path) -> None:
    text = project(tmp_path, records=20).read_text()
    text = text.replace("to memory\n", "to memory\n    let b = measure memory[0]\n    "
                        "if b { x memory[1] }\n")  # fmt: skip
    (tmp_path / "tiny.qrl").write_text(text)
    done = train(tmp_path / "tiny.qrl", "r", "--target", "braket")
    assert done.code == 1
    assert "training on a device takes gates, `reset` and readouts" in done.err
    assert "measure" in done.err


def test_a_budget_is_kept_to_while_it_runs() -> None:
    processor = Processor(Simulator(), 10, budget=Budget(25))
    node = processor.desk.tree.after(processor.desk.tree.root, "h", (Step("h", (0,)),), 0, 1, 0)
    asked = [Ask(node, (), (Word(((0, "Z"),)),), 0)]
    for _ in range(2):
        assert abs(processor.desk.ask(asked)[0][0][0]) <= 1
    with pytest.raises(DeviceError, match="30 executions are more than --max-shots 25"):
        processor.desk.ask(asked)


def test_options_that_need_a_device(model: Path) -> None:
    done = qrlc("train", model, "--max-shots", 5)
    assert done.code == 2
    assert "--target" in done.err
