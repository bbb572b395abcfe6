"""How `qrlc` ends: 0 fine, 1 the program is wrong, 2 wrong use, 70 a bug, 130 interrupted."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from unittest import mock

import pytest
from cli_tools import Done, qrlc

GOOD = """\
use std.ansatz.su2_ring
use std.readout.each_z

model M(n: int = 2) {
  input  x: seq[real[1]]
  target y: real[1]

  qubits     q[n]
  controller steer = mlp(4, tanh)
  layer      head  = linear(1)

  step v in x {
    apply su2_ring(steer(v, read each_z(q))) to q
  }
  return head(read each_z(q))
}
"""
TWO = GOOD + GOOD.replace("model M", "\nmodel Other").split("\n\n", 1)[1]
WRONG = GOOD.replace("head(read each_z(q))", "hed(read each_z(q))")
BROKEN = "model M( {\n"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.qrl"
    path.write_text(GOOD)
    return path


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    path = tmp_path / "wrong.qrl"
    path.write_text(WRONG)
    return path


EVERY = [("check",), ("fmt", "--check"), ("compile",), ("inspect",), ("draw",)]


@pytest.mark.parametrize("command", EVERY, ids=lambda c: c[0])
def test_fine(command: tuple[str, ...], good: Path) -> None:
    done = qrlc(*command, good)
    assert done.code == 0, done.err
    assert done.err == ""


@pytest.mark.parametrize("command", EVERY, ids=lambda c: c[0])
def test_a_missing_file_is_wrong_use(command: tuple[str, ...], tmp_path: Path) -> None:
    done = qrlc(*command, tmp_path / "none.qrl")
    assert done.code == 2
    assert "none.qrl" in done.err


@pytest.mark.parametrize("command", EVERY, ids=lambda c: c[0])
def test_an_unreadable_file_is_wrong_use(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "folder.qrl").mkdir()
    if command[0] in ("check", "fmt"):  # these take folders: one without models
        assert qrlc(*command, tmp_path / "folder.qrl").code == 2
    else:
        assert qrlc(*command, tmp_path / "folder.qrl").code == 2


@pytest.mark.parametrize("command", EVERY, ids=lambda c: c[0])
def test_bytes_that_are_no_text(command: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "latin.qrl"
    path.write_bytes("// Grüße\n".encode("latin-1") + GOOD.encode())
    done = qrlc(*command, path)
    assert done.code == 1
    assert "E0100" in done.err
    assert "1:6" in done.err


@pytest.mark.parametrize("command", [c for c in EVERY if c[0] != "fmt"], ids=lambda c: c[0])
def test_a_wrong_program(command: tuple[str, ...], wrong: Path) -> None:
    done = qrlc(*command, wrong)
    assert done.code == 1
    assert "hed" in done.err
    assert "head" in done.err  # did you mean
    assert done.out == ""


@pytest.mark.parametrize("command", EVERY, ids=lambda c: c[0])
def test_broken_syntax(command: tuple[str, ...]) -> None:
    done = qrlc(*command, "-", stdin=BROKEN)
    assert done.code == 1
    assert "<stdin>" in done.err


@pytest.mark.parametrize("command", [c for c in EVERY if c[0] != "fmt"], ids=lambda c: c[0])
def test_json(command: tuple[str, ...], good: Path, wrong: Path) -> None:
    assert json.loads(qrlc(*command, good, "--format", "json").out)
    done = qrlc(*command, wrong, "--format", "json")
    assert done.code == 1
    [first, *_] = done.data()["diagnostics"]
    assert first["code"].startswith("E")


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("chekc",),
        ("check",),
        ("check", "--nope", "-"),
        ("check", "-", "--set", "n"),
        ("check", "-", "--set", "nn=3"),
        ("check", "-", "--model", "N"),
        ("compile", "-", "--emit", "nothing"),
        ("compile", "-", "--target", "nothing"),
        ("compile", "-", "--passes", "fold,nothing"),
        ("compile", "-", "--print-after", "nothing"),
        ("compile", "-", "--target", "qasm", "--dialect", "nothing"),
        ("compile", "-", "--dialect", "qiskit"),
        ("compile", "-", "--target", "reference"),
        ("compile", "-", "--target", "qasm", "--emit", "ir"),
        ("draw", "-", "Nothing"),
        ("draw", "-", "--width", "3"),
        ("explain", "E9999"),
        ("stdlib", "nothing"),
        ("stdlib", "su2_ring", "--set", "k=3"),
        ("targets", "nothing"),
        ("completion", "tcsh"),
    ],
    ids=" ".join,
)
def test_wrong_use(args: tuple[str, ...]) -> None:
    done = qrlc(*args, stdin=GOOD)
    if args == ():
        assert done.code in (0, 2)  # click's own choice: the help
        return
    assert done.code == 2, done.err
    assert "Error" in done.err


def test_the_nearest_name_is_offered() -> None:
    assert "`check`" in qrlc("chekc").err
    assert "`qasm`" in qrlc("compile", "-", "--target", "qsam", stdin=GOOD).err
    assert "`su2_ring`" in qrlc("stdlib", "su2_rng").err
    assert "`Other`" in qrlc("inspect", "-", "--model", "Othr", stdin=TWO).err


def test_one_of_several_models() -> None:
    assert qrlc("compile", "-", stdin=TWO).out.count("program ") == 2
    one = qrlc("compile", "-", "--model", "Other", stdin=TWO).out
    assert one.count("program ") == 1
    assert "program Other" in one


def test_settings() -> None:
    done = qrlc("inspect", "-", "--set", "n=3", "--format", "json", stdin=GOOD)
    assert done.data()["models"][0]["settings"]["n"] == 3


def test_a_bomb_is_refused_with_its_limit() -> None:
    done = qrlc("check", "-", "--set", "n=1000000000", stdin=GOOD)
    assert done.code == 1
    assert "1024" in done.err or "1,024" in done.err


def test_several_files(good: Path, wrong: Path) -> None:
    done = qrlc("check", good, wrong)
    assert done.code == 1
    assert "good.qrl" not in done.err
    assert qrlc("check", good.parent).code == 1  # a folder: the files in it


def test_a_bug_is_ours(good: Path) -> None:
    with mock.patch("qrlang.check.check_file", side_effect=ZeroDivisionError("oh")):
        done = qrlc("check", good)
        assert done.code == 70
        assert "a bug in qrlc, not in your model" in done.err
        assert "ZeroDivisionError: oh" in done.err
        assert "Traceback" not in done.err
        with mock.patch.dict(os.environ, {"QRLC_TRACEBACK": "1"}):
            assert "Traceback" in qrlc("check", good).err


def test_a_bug_in_a_pass_names_it(good: Path) -> None:
    with mock.patch("qrlang.passes.fold.Fold.run", side_effect=KeyError("x")):
        done = qrlc("compile", good)
        assert done.code == 70
        assert "in the pass fold" in done.err


@pytest.mark.parametrize("error", [RecursionError(), MemoryError()])
def test_too_much_is_no_bug(good: Path, error: BaseException) -> None:
    with mock.patch("qrlang.check.check_file", side_effect=error):
        done = qrlc("check", good)
        assert done.code == 1
        assert "than qrlc can handle" in done.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 22.03 "
            "GiB of which 3.10 GiB is free. Including non-PyTorch memory, this process has 18 GiB.",
            "error: the GPU has not enough memory: CUDA out of memory. Tried to allocate 20.00 GiB",
        ),
        (
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 4503599627370496 bytes.",
            "error: can't allocate memory: you tried to allocate 4503599627370496 bytes.",
        ),
    ],
)
def test_a_tensor_without_room_is_no_bug(good: Path, text: str, said: str) -> None:
    """As torch says it, whose errors these are."""
    kind = type("OutOfMemoryError" if "CUDA" in text else "RuntimeError", (RuntimeError,), {})
    with mock.patch("qrlang.check.check_file", side_effect=kind(text)):
        done = qrlc("check", good)
    assert done.code == 1 and done.err.startswith(said) and "--batch" in done.err


def test_interrupted(good: Path) -> None:
    with mock.patch("qrlang.check.check_file", side_effect=KeyboardInterrupt):
        assert qrlc("check", good) == Done(130, "", "")


def test_a_reader_that_leaves() -> None:
    """`qrlc stdlib | head -1` is quiet."""
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; from qrlang.cli import main; sys.argv[0] = 'qrlc'; main()",
         "stdlib"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_an_output_that_is_full_or_closed(good: Path) -> None:
    call = [sys.executable, "-m", "qrlang", "stdlib"]
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(call, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr.decode().startswith("error: cannot write the output: No space left")
    assert b"bug" not in done.stderr and b"Traceback" not in done.stderr
    with mock.patch.object(sys, "stdout", None):  # `>&-`
        from qrlang.cli.main import run

        assert run(["check", str(good)]) == 0


def test_no_colours_in_a_pipe(wrong: Path) -> None:
    assert "\x1b[" not in qrlc("check", wrong).err
    assert "\x1b[" in qrlc("check", wrong, "--color", "always").err
    assert "\x1b[" not in qrlc("check", wrong, "--color", "never").err


def test_a_file_without_an_end(tmp_path: Path) -> None:
    """No more of it is read than a file may be long."""
    for path in ("/dev/zero", tmp_path / "endless"):
        if path != "/dev/zero":
            os.mkfifo(path)
            threading.Thread(target=endless, args=(path,), daemon=True).start()
        done = qrlc("check", path)
        assert done.code == 1
        assert "E0117" in done.err
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as yes:
        done_ = subprocess.run(
            [sys.executable, "-m", "qrlang", "check", "-"],
            stdin=yes.stdout, capture_output=True, check=False,
        )  # fmt: skip
        yes.kill()
    assert done_.returncode == 1 and b"E0117" in done_.stderr


def endless(path: Path) -> None:
    with contextlib.suppress(BrokenPipeError), path.open("wb") as pipe:
        while True:
            pipe.write(b"a" * 2**16)


def test_as_a_module(good: Path, wrong: Path) -> None:
    """`python -m qrlang` is `qrlc`."""
    for path in (good, wrong):
        done = subprocess.run(
            [sys.executable, "-m", "qrlang", "check", str(path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        same = qrlc("check", path)
        assert (done.returncode, done.stdout, done.stderr) == (same.code, same.out, same.err)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-16"])
def test_what_is_redirected_is_utf8(good: Path, encoding: str) -> None:
    """Where the system's encoding is an old one, `θ` would be lost from programs, and JSON be
    unreadable."""
    laid_out = "// ⟨Z⟩ über θ\n" + qrlc("fmt", "-", stdin=good.read_bytes()).out
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "qrlang", "fmt", "-"],
        input=laid_out.encode(), capture_output=True, env=env, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == laid_out
