"""A third party's target comes through the same door as ours: the one of the guide, as written."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from unittest import mock

import pytest
from cli_tools import qrlc

from qrlang.targets import GROUP, TargetError, available, load

QRNN = Path(__file__).parent / "golden" / "qrnn.qrl"
NOISE = Path(__file__).parents[1] / "cross/features/noise.qrl"


@pytest.fixture
def plugins(root: Path) -> Iterator[None]:
    guide = (root / "docs" / "writing-a-target.md").read_text(encoding="utf-8")
    [code] = [b for b in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if "Target)" in b]
    module = types.ModuleType("guide_target")
    exec(code, module.__dict__)  # the guide's own words
    points = [
        EntryPoint("counts", "guide_target:target", GROUP),
        EntryPoint("broken", "no_such_module:target", GROUP),
        EntryPoint("nothing", "guide_target:Counter", GROUP),
    ]
    with (
        mock.patch.dict(sys.modules, {"guide_target": module}),
        mock.patch("importlib.metadata.entry_points", lambda **_: points),
    ):
        yield


def test_the_guides_target(plugins: None, tmp_path: Path) -> None:
    assert "counts" in qrlc("targets").out
    done = qrlc("compile", QRNN, "--target", "counts", "-o", tmp_path)
    assert done.code == 0, done.err
    assert (tmp_path / "counts.txt").read_text() == "cx 8\nry 8\nrz 16\n"


def test_it_refuses_what_it_lacks(plugins: None, tmp_path: Path) -> None:
    done = qrlc("compile", NOISE, "--target", "counts", "-o", tmp_path)
    assert done.code == 1
    assert "E0704" in done.err
    assert "leave the channel out" in done.err


def test_a_plugin_that_crashes_is_named(plugins: None, tmp_path: Path) -> None:
    for method in ("emit", "check"):
        with mock.patch.object(load("counts"), method, side_effect=ZeroDivisionError("x")):
            done = qrlc("compile", QRNN, "--target", "counts", "-o", tmp_path)
        assert done.code == 70
        assert "a bug in the plug-in" in done.err and "`counts`" in done.err
        assert "We are sorry" not in done.err and "Send us" not in done.err
    with mock.patch.object(type(load("qasm")), "emit", side_effect=ZeroDivisionError("x")):
        done = qrlc("compile", QRNN, "--target", "qasm", "-o", tmp_path)
    assert done.code == 70 and "a bug in qrlc" in done.err


def test_a_broken_plugin_breaks_nothing_else(plugins: None) -> None:
    listed = qrlc("targets")
    assert listed.code == 0
    assert "no_such_module" in listed.out
    done = qrlc("compile", QRNN, "--target", "broken")
    assert done.code == 2
    assert "does not load" in done.err
    with pytest.raises(TargetError, match="is no target"):
        load("nothing")


def test_ours_are_there_without_metadata() -> None:
    with mock.patch("importlib.metadata.entry_points", lambda **_: []):
        assert {"reference", "qasm"} <= set(available())
        assert load("qasm").name == "qasm"


def test_two_models_that_would_write_one_file(plugins: None, tmp_path: Path) -> None:
    text = QRNN.read_text()
    both = text + "\n" + text.split("\n\n", 1)[1].replace("model QRNN", "model Other")
    done = qrlc("compile", "-", "--target", "counts", "-o", tmp_path, stdin=both)
    assert done.code == 2
    assert "--model" in done.err
    assert not list(tmp_path.iterdir())
    done = qrlc(
        "compile", "-", "--target", "counts", "-o", tmp_path, "--model", "Other", stdin=both
    )
    assert done.code == 0, done.err
