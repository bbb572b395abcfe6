"""`--check-gradient`: slopes by shifted circuits beside those that training uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from training_tools import MODEL, project  # noqa: E402

from qrlang.cli.main import run as qrlc  # noqa: E402
from qrlang.training import shift_check  # noqa: E402


def train(folder: Path, *args: str, model: str = MODEL) -> int:
    path = project(folder, model)
    line = ["train", str(path), "--out", str(folder / "run"), "--threads", "1", "--steps", "1"]
    return qrlc([*line, *args])


@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("road", ["native", "stepwise"])
def test_they_agree(tmp_path: Path, capsys: Any, road: str, precision: str) -> None:
    args = ("--check-gradient", "5", "--road", road, "--precision", precision)
    assert train(tmp_path, *args) == 0
    err = capsys.readouterr().err
    assert f"by shift  {road:>12}" in err and "steer." in err
    assert "100 slopes agree" in err  # all are compared, five are shown


def test_a_wrong_gradient_is_seen(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = shift_check._gradient

    def wrong(objective: Any, batch: Any) -> Any:
        found = dict(right(objective, batch))
        if objective.model.processor is None:
            found["steer.w2"] = 1.01 * found["steer.w2"]
        return found

    monkeypatch.setattr(shift_check, "_gradient", wrong)
    assert train(tmp_path, "--check-gradient", "3") == 1
    err = capsys.readouterr().err
    assert "slopes DIFFER" in err and "are not those of parameter shifts" in err
    assert not (tmp_path / "run" / "result.json").exists()


def test_what_no_shift_can_tell(tmp_path: Path, capsys: Any) -> None:
    model = MODEL.replace("  return head", "  postselect memory[0] == 0\n  return head")
    assert train(tmp_path, "--check-gradient", "3", model=model) == 1
    assert "cannot be checked by shifts" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()  # it never began
