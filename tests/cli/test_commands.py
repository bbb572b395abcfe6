"""Each command at work."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from cli_tools import qrlc

import qrlang
from qrlang.cli import targets
from qrlang.cli.lazy import COMMANDS
from qrlang.cli.main import qrlc as group
from qrlang.driver import EMIT
from qrlang.passes import GATES, PASSES

ROOT = Path(__file__).parents[2]
QRNN = ROOT / "tests/cli/golden/qrnn.qrl"
DEFINITIONS = """\
use std.readout.each_z

/// Turns.
ansatz turn(k: int = 2) on q: qubit[n] with w: angle[k, n] {
  for j in 0..k {
    for i in 0..n { ry(w[j, i]) q[i] }
    for i in 0..n - 1 { cx q[i], q[i + 1] }
  }
}

/// A layer.
circuit layer(n: int)(v: real[n]) -> real[n] {
  qubits q[n]
  for i in 0..n { rx(v[i]) q[i] }
  return read each_z(q)
}
"""


def golden(name: str, got: str) -> None:
    """Compares with a file; QRL_UPDATE=1 writes it."""
    path = Path(__file__).parent / "golden" / name
    if os.environ.get("QRL_UPDATE"):
        path.write_text(got, encoding="utf-8")
    assert got == path.read_text(encoding="utf-8")


# --- what people see ---


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("inspect.txt", ("inspect",)),
        ("inspect.json", ("inspect", "--format", "json")),
        ("draw.txt", ("draw", "--width", "100")),
        ("draw-14.txt", ("draw", "--width", "100", "--fold", "--set", "n=14", "--set", "layers=4")),
        ("draw-ascii.txt", ("draw", "--width", "72", "--ascii")),
        ("draw.svg", ("draw", "--svg", "-")),
        ("ir.txt", ("compile", "--emit", "ir")),
        ("opt.txt", ("compile", "--emit", "opt")),
        ("typed.txt", ("compile", "--emit", "typed")),
    ],
)
def test_golden(name: str, args: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(QRNN.parent)
    done = qrlc(args[0], QRNN.name, *args[1:])
    assert done.code == 0, done.err
    assert done.err == ""
    golden(name, done.out)


@pytest.mark.parametrize("dialect", ["qiskit", "braket"])
def test_golden_qasm(dialect: str, tmp_path: Path) -> None:
    done = qrlc("compile", QRNN, "--target", "qasm", "--dialect", dialect, "-o", tmp_path)
    assert done.code == 0, done.err
    step, after = tmp_path / "QRNN.step.qasm", tmp_path / "QRNN.after_step.qasm"
    assert done.out == f"{step}\n{after}\n"
    golden(f"{dialect}.qasm", step.read_text())
    golden(f"{dialect}-after.qasm", after.read_text())


def test_every_command_has_a_help() -> None:
    whole = qrlc("--help").out
    for name, what in COMMANDS.items():
        done = qrlc(name, "--help")
        assert done.code == 0
        assert name in whole
        assert what.split()[0] in done.out


def test_out_is_called_the_same_everywhere() -> None:
    context = click.Context(group)
    commands = {name: group.get_command(context, name) for name in COMMANDS}
    names = {
        name: {*option.opts}
        for name, command in commands.items()
        for option in (command.params if command else ())
        if option.name == "out"
    }
    assert len(names) > 5
    assert all(one == {"-o", "--out"} for one in names.values()), names


def test_a_warning_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Said once, and without a place in somebody's code."""

    def warned(**_: object) -> None:
        for _ in range(2):
            warnings.warn("this is slow", UserWarning, stacklevel=1)

    monkeypatch.setattr(targets.command, "callback", warned)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert qrlc("targets").err == "note: this is slow\n"


# --- compile ---


@pytest.mark.parametrize("phase", EMIT)
def test_emit(phase: str) -> None:
    done = qrlc("compile", QRNN, "--emit", phase)
    assert done.code == 0, done.err
    assert done.out.strip()
    as_json = qrlc("compile", QRNN, "--emit", phase, "--format", "json").data()
    assert as_json == {"phase": phase, "text": done.out}


@pytest.mark.parametrize("phase", ["tokens", "ast"])
def test_a_wrong_text_still_has_tokens_and_a_tree(phase: str) -> None:
    done = qrlc("compile", "-", "--emit", phase, stdin="const a = \n")
    assert done.code == 1
    assert ("File" if phase == "ast" else "CONST") in done.out
    assert "error" in done.err


def test_a_phase_goes_where_it_is_told(tmp_path: Path) -> None:
    shown = qrlc("compile", QRNN, "--emit", "opt").out
    done = qrlc("compile", QRNN, "--emit", "opt", "-o", tmp_path / "deep" / "a.ir")
    assert done.code == 0 and done.out == f"{tmp_path / 'deep' / 'a.ir'}\n"
    assert (tmp_path / "deep" / "a.ir").read_text() == shown
    assert qrlc("compile", QRNN, "--emit", "ir", "-o", tmp_path).code == 0
    assert (tmp_path / "qrnn.ir.txt").read_text() == qrlc("compile", QRNN, "--emit", "ir").out
    data = qrlc("compile", QRNN, "--emit", "ast", "-o", tmp_path / "t", "--format", "json").data()
    assert data == {"phase": "ast", "file": str(tmp_path / "t")}
    assert qrlc("compile", QRNN, "-o", "-").out == shown


def test_a_broken_tree_as_json() -> None:
    done = qrlc("compile", "-", "--emit", "ast", "--format", "json", stdin="const a = \n")
    assert done.code == 1 and done.err == ""
    assert done.data()["text"].startswith("File")
    assert [d["severity"] for d in done.data()["diagnostics"]] == ["error"]


def test_a_parameter_that_nobody_gives(tmp_path: Path) -> None:
    path = tmp_path / "m.qrl"
    path.write_text("""\
use std.readout.each_z
model M(n: int) {
  input  x: real[n]
  target y: real[n]
  qubits q[n]
  for i in 0..n { ry(x[i]) q[i] }
  return read each_z(q)
}
""")
    for command in ("inspect", "draw"):
        done = qrlc(command, path)
        assert done.code == 0, done.err
        head = done.out.split("\n\n")[0]
        assert "nobody says what n is" in head and "--set n=" in head
        assert "nobody says" not in qrlc(command, path, "--set", "n=2").out
    done = qrlc("compile", path, "--target", "qasm", "-o", tmp_path / "out")
    assert done.code == 2 and "--set n=" in done.err
    assert not (tmp_path / "out").exists()
    done = qrlc("compile", path, "--target", "qasm", "-o", tmp_path / "out", "--set", "n=2")
    assert done.code == 0, done.err


def test_the_target_may_stick_to_its_letter(tmp_path: Path) -> None:
    short = qrlc("compile", QRNN, "-tqasm", "--dialect", "braket", "-o", tmp_path / "a")
    assert short.code == 0, short.err
    twice = qrlc("compile", QRNN, "-t", "torch", "--target=qasm", "-o", tmp_path / "b")
    assert [p.suffix for p in (tmp_path / "b").iterdir()] == [".qasm"] * 2, twice.err


def test_passes() -> None:
    nothing = qrlc("compile", QRNN, "--passes", "").out
    assert nothing == qrlc("compile", QRNN, "--emit", "ir").out
    for name in PASSES:
        done = qrlc("compile", QRNN, "--passes", name, "--verify")
        assert done.code == 0, done.err
    listed = qrlc("compile", "--passes", "help").out  # as its own --help says: no FILE
    assert all(name in listed for name in PASSES)
    first = qrlc("compile", QRNN, "--print-after", GATES[0]).out
    assert first == qrlc("compile", QRNN, "--passes", GATES[0]).out
    assert qrlc("compile", QRNN, "--passes", "fold", "--print-after", "fuse").code == 2


def test_a_target_that_cannot(tmp_path: Path) -> None:
    path = ROOT / "tests/cross/features/noise.qrl"
    done = qrlc("compile", path, "--target", "qasm", "-o", tmp_path)
    assert done.code == 1
    assert "E0704" in done.err
    assert "--dialect braket" in done.err
    assert not list(tmp_path.iterdir())
    assert (
        qrlc("compile", path, "--target", "qasm", "--dialect", "braket", "-o", tmp_path).code == 0
    )


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = qrlc("compile", QRNN, "--target", "qasm", "-o", tmp_path / "file")
    assert done.code == 2
    assert "cannot write" in done.err


# --- draw ---


def test_no_program_is_written_over(tmp_path: Path) -> None:
    mine = tmp_path / "mine.qrl"
    mine.write_bytes(QRNN.read_bytes())
    for command in (("draw", mine, "--svg", mine), ("compile", mine, "--emit", "ir", "-o", mine)):
        done = qrlc(*command)
        assert done.code == 2 and "would be written over" in done.err, done
    assert mine.read_bytes() == QRNN.read_bytes()


def test_nobody_elses_module_is_written_over(tmp_path: Path) -> None:
    own = tmp_path / "model.py"
    own.write_text("# a year of work\n")
    done = qrlc("compile", QRNN, "--target", "torch", "-o", tmp_path)
    assert done.code == 2 and "not written by qrlc" in done.err and "-o" in done.err
    assert own.read_text() == "# a year of work\n"
    own.unlink()
    for _ in range(2):  # ours is written anew
        assert qrlc("compile", QRNN, "--target", "torch", "-o", tmp_path).code == 0


def test_a_picture_of_another_kind(tmp_path: Path) -> None:
    done = qrlc("draw", QRNN, "--svg", tmp_path / "x.png")
    assert done.code == 2 and "x.svg" in done.err
    done = qrlc("draw", QRNN, "--svg", "-o", tmp_path / "x.svg")
    assert done.code == 2 and "--svg takes the file itself, found '-o'" in done.err
    assert not list(tmp_path.iterdir())


def test_draw_definitions() -> None:
    done = qrlc("draw", "-", "turn", "--set", "n=3", stdin=DEFINITIONS)
    assert done.code == 0, done.err
    assert done.out.count("┤Ry ") == 6
    assert "┤Rx " in qrlc("draw", "-", "layer", stdin=DEFINITIONS).out
    assert qrlc("draw", "-", stdin=DEFINITIONS).out.count("┤Ry ") == 8  # the first, on four qubits
    assert qrlc("draw", "-", "turn", "--set", "m=3", stdin=DEFINITIONS).code == 2


def test_draw_svg(tmp_path: Path) -> None:
    done = qrlc("draw", QRNN, "--svg", tmp_path / "deep" / "a.svg")
    assert done.code == 0, done.err
    drawn = ET.fromstring((tmp_path / "deep" / "a.svg").read_text(encoding="utf-8"))
    assert drawn.tag.endswith("svg") and len(drawn)


def test_draw_after_the_passes() -> None:
    done = qrlc("draw", "-", "--optimised", stdin=DEFINITIONS + """
model M {
  input  x: real[2]
  target y: real[2]
  qubits q[2]
  for i in 0..2 { ry(x[i]) q[i] }
  h q[0]
  h q[0]
  cx q[0], q[1]
  return read each_z(q)
}
""")  # fmt: skip
    assert done.code == 0, done.err
    assert "┤H├" not in done.out


# --- stdlib ---


def test_draw_one_of_several_models() -> None:
    text = "model {} {{\n  qubits q[1]\n  input x: real\n  target y: real\n  rx(x) q[0]\n  return read Z(q[0])\n}}\n"
    text = text.format("A") + text.format("B") + DEFINITIONS
    both = qrlc("draw", "-", stdin=text)
    assert both.code == 0, both.err
    assert (
        qrlc("draw", "-", "--model", "B", stdin=text).out == qrlc("draw", "-", "B", stdin=text).out
    )
    assert qrlc("draw", "-", "--model", "turn", stdin=text).code == 2
    assert qrlc("draw", "-", "B", "--model", "B", stdin=text).code == 2


def test_stdlib_lists_a_module() -> None:
    done = qrlc("stdlib", "std.ansatz", "--format", "json").data()
    every = qrlc("stdlib", "--format", "json").data()
    assert done == [d for d in every if d["name"].startswith("std.ansatz.")] and done
    assert "su2_ring" in qrlc("stdlib", "std.ansatz").out
    assert qrlc("stdlib", "ansatz").out == qrlc("stdlib", "std.ansatz").out
    assert "`readout`" in qrlc("stdlib", "raedout").err
    assert qrlc("stdlib", "std.nothing").code == 2


def test_stdlib_lists_everything() -> None:
    listed = qrlc("stdlib").out
    names = [entry["name"] for entry in qrlc("stdlib", "--format", "json").data()]
    assert "std.ansatz.su2_ring" in names
    assert all(name.rsplit(".", 1)[1] in listed for name in names)


def test_stdlib_shows_everything() -> None:
    """In one process, so that the library is read once."""
    from qrlang.check.library import Library
    from qrlang.cli import stdlib
    from qrlang.inspection.definitions import installed

    for name, item in installed(Library()):
        data = stdlib._show(name, item, {}, False)
        page = stdlib._page(data, item)
        assert data["doc"].split("\n")[0] in page, name
        assert data["drawing"].strip() in page, name
        assert f"{data['kind']} {item.name}" in data["source"], name


def test_stdlib_shows_one() -> None:
    done = qrlc("stdlib", "su2_ring")
    assert done.code == 0, done.err
    assert "3*n*layers angles" in done.out
    assert "ansatz su2_ring" in done.out
    assert "┤Rz θ₀├" in done.out


def test_stdlib_counts() -> None:
    data = qrlc(
        "stdlib", "su2_ring", "--set", "n=5", "--set", "layers=3", "--format", "json"
    ).data()
    assert data["numbers"] == 45
    assert data["gates"] == 60
    assert data["formula"] == "3*n*layers"


# --- explain, targets, new, completion ---


def test_explain() -> None:
    listed = qrlc("explain").out
    codes = [line.split()[0] for line in listed.splitlines()]
    assert "E0101" in codes and "W0801" in codes
    for code in codes:
        assert qrlc("explain", code).out.startswith(f"# {code}: ")
    assert qrlc("explain", "e0101").code == 0
    assert qrlc("explain", "E0101", "--format", "json").data()["code"] == "E0101"


def test_targets() -> None:
    listed = qrlc("targets").out
    assert "reference" in listed and "qasm" in listed
    assert [t["name"] for t in qrlc("targets", "--format", "json").data()][:2] == [
        "reference",
        "qasm",
    ]
    assert "noise channels" in qrlc("targets", "qasm").out
    data = qrlc("targets", "qasm", "--format", "json").data()
    assert data["features"]["qasm (braket)"]["noise"]["yes"]
    assert not data["features"]["qasm (qiskit)"]["noise"]["yes"]


def test_new_is_a_model_that_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert qrlc("new", "my-model").code == 0
    file = tmp_path / "my-model" / "my_model.qrl"
    assert "model MyModel" in file.read_text()
    for command in ("check", "inspect", "draw", "compile"):
        done = qrlc(command, file)
        assert done.code == 0
        assert done.err == ""  # not even a warning
    assert qrlc("fmt", "--check", file).code == 0
    readme = (tmp_path / "my-model" / "README.md").read_text()
    commands = [
        shlex.split(line, comments=True)[1:]
        for line in readme.splitlines()
        if line.startswith("qrlc")
    ]
    monkeypatch.chdir(tmp_path / "my-model")
    for args in commands:
        if args[0] != "train" or find_spec("torch"):
            assert qrlc(*args).code == 0, args
    assert qrlc("new", tmp_path / "my-model").code == 2  # never over something


def test_new_file(tmp_path: Path) -> None:
    path = tmp_path / "a b.qrl"
    made = qrlc("new", path)
    assert made.code == 0
    assert shlex.split(made.err)[-1] == str(path)  # what it says next can be pasted
    assert "model AB(" in path.read_text()
    assert qrlc("check", path).code == 0
    assert qrlc("new", path).code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    assert "_QRLC_COMPLETE" in qrlc("completion", shell).out


def test_completion_knows_the_commands() -> None:
    code = "import sys; from qrlang.cli import main; sys.argv[0] = 'qrlc'; main()"
    env = {
        **os.environ,
        "_QRLC_COMPLETE": "bash_complete",
        "COMP_WORDS": "qrlc ch",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False
    )
    assert "check" in done.stdout


# --- fmt ---


def test_fmt(tmp_path: Path) -> None:
    path = tmp_path / "a.qrl"
    path.write_text("const  a=1\n")
    path.chmod(0o640)
    assert qrlc("fmt", "--check", path).code == 1
    assert path.read_text() == "const  a=1\n"
    shown = qrlc("fmt", "--diff", path)
    assert shown.code == 0
    assert "+const a = 1" in shown.out
    assert path.read_text() == "const  a=1\n"
    done = qrlc("fmt", path)
    assert done.code == 0
    assert "changed" in done.err
    assert path.read_text() == "const a = 1\n"
    assert path.stat().st_mode & 0o777 == 0o640
    again = qrlc("fmt", path)
    assert (again.code, again.out, again.err) == (0, "", "")
    assert qrlc("fmt", "--check", tmp_path).code == 0


def test_fmt_leaves_a_broken_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.qrl"
    path.write_text("const  a=\n")
    done = qrlc("fmt", path)
    assert done.code == 1
    assert path.read_text() == "const  a=\n"


def test_fmt_stdin() -> None:
    done = qrlc("fmt", "-", stdin="const  a=1\n")
    assert (done.code, done.out) == (0, "const a = 1\n")
    assert qrlc("fmt", "--check", "-", stdin="const  a=1\n").code == 1
    data = qrlc("fmt", "--check", "-", "--format", "json", stdin="const  a=1\n")
    assert json.loads(data.out)["changed"] == ["<stdin>"]


# --- check ---


def test_strict() -> None:
    text = (
        DEFINITIONS
        + """
model M {
  input  x: real[2]
  target y: real[2]
  qubits q[2]
  param  w: angle[2]
  for i in 0..2 { ry(x[i]) q[i] }
  cx q[0], q[1]
  for i in 0..2 { rz(w[i]) q[i] }
  return read each_z(q)
}
"""
    )
    done = qrlc("check", "-", stdin=text)
    assert done.code == 0
    assert "W0801" in done.err
    assert qrlc("check", "-", "--strict", stdin=text).code == 1


OPEN = """model M(n: int, k: int) {
  input  x: seq[real[n]]
  target y: class[2]
  layer  l = mlp(k, out: 2)
  return l(mean(x))
}

train M { data = spirals }
"""


@pytest.mark.parametrize("command", ["train", "probe", "run", "compile", "load"])
def test_nothing_is_computed_with_a_stand_in(command: str, tmp_path: Path) -> None:
    """A drawing may be of any size; a model that is trained has those that somebody has said."""
    pytest.importorskip("torch")
    path = tmp_path / "m.qrl"
    path.write_text(OPEN, encoding="utf-8")
    assert qrlc("draw", path).code == 0
    if command == "load":
        with pytest.raises(Exception, match=r"what k is: it has no default; say load\(…, k=…\)"):
            qrlang.load(path)
        assert qrlang.load(path, k=3)
        return
    to = {"train": ("--out", tmp_path / "run"), "compile": ("--target", "torch")}.get(command, ())
    done = qrlc(command, path, *to)
    assert done.code in (1, 2) and "has to know what k is" in done.err
    assert "--set k=…" in done.err and not (tmp_path / "run").exists()
    path.write_text(OPEN.partition("train")[0], encoding="utf-8")
    done = qrlc("compile", path, "--target", "torch")
    assert "what n and k are: they have no default; say --set n=… --set k=…" in done.err
