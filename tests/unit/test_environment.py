"""Environment variables: what is wrong is said in words, what is right is obeyed."""

import os

import pytest

from qrlang.cli.main import run
from qrlang.engine import cache
from qrlang.system import environment
from qrlang.system.environment import WrongEnvironment


@pytest.mark.parametrize("said", ["x", "0", "-1", "1.5", "٣", "99999"])
def test_threads_that_are_no_number(monkeypatch, said):
    monkeypatch.setenv("QRLANG_THREADS", said)
    with pytest.raises(WrongEnvironment, match=r"QRLANG_THREADS is `.*whole number") as caught:
        environment.threads()
    assert "QRLANG_THREADS=2" in caught.value.help


def test_a_name_a_letter_off(monkeypatch):
    monkeypatch.setenv("QRLANG_SOMETHING", "1")  # somebody else's
    environment.check()
    monkeypatch.setenv("QRLANG_THREAD", "2")
    with pytest.raises(WrongEnvironment, match="QRLANG_THREAD is `2`: nothing reads") as caught:
        environment.check()
    assert "did you mean QRLANG_THREADS?" in caught.value.help


def test_threads(monkeypatch):
    from qrlang.engine.cpu.launch import threads

    monkeypatch.setattr(threads, "_set", 0)
    monkeypatch.delenv("QRLANG_THREADS", raising=False)
    assert threads.asked_threads() == 0 and threads.default_threads() >= 1
    monkeypatch.setenv("QRLANG_THREADS", " 3 ")
    assert threads.default_threads() == 3
    threads.set_threads(2)  # what a run says comes first
    assert threads.default_threads() == 2


def test_words_and_flags(monkeypatch, tmp_path):
    monkeypatch.setenv("QRLANG_CACHE", "never")
    with pytest.raises(WrongEnvironment, match="QRLANG_CACHE is `never`"):
        cache.folder()
    monkeypatch.setenv("QRLANG_CACHE", "OFF")
    assert cache.folder() is None
    monkeypatch.setenv("QRLANG_CACHE", "1")
    (tmp_path / "file").touch()
    monkeypatch.setenv("QRLANG_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(WrongEnvironment, match="no folder"):
        cache.folder()
    monkeypatch.setenv("QRLANG_CACHE_DIR", str(tmp_path / "new"))
    assert cache.folder() == tmp_path / "new"


def test_vectors(monkeypatch):
    from qrlang.engine.cpu.llvm import machine

    host = machine.host.__wrapped__
    monkeypatch.setenv("QRLANG_VECTORS", "sse9")
    with pytest.raises(WrongEnvironment, match="`portable`, `avx2`, `avx512`"):
        host()
    monkeypatch.setenv("QRLANG_VECTORS", "avx512")
    monkeypatch.setattr(machine, "_processor", lambda: (frozenset({"avx2", "fma"}), "old"))
    with pytest.raises(WrongEnvironment, match="this processor has none"):
        host()
    monkeypatch.setenv("QRLANG_VECTORS", "avx2")
    assert host().bits == 256
    monkeypatch.setenv("QRLANG_COMPILE", "outside")
    with pytest.raises(WrongEnvironment, match="QRLANG_COMPILE"):
        machine._assembled_elsewhere("", host(), 0)


@pytest.mark.parametrize(
    ("name", "said", "wanted"),
    [
        ("QRLANG_THREADS", "x", "for example QRLANG_THREADS=2"),
        ("QRLANG_VECTORS", "mmx", "QRLANG_VECTORS=portable"),
        ("QRLANG_CUDA_GRAPH", "2", "QRLANG_CUDA_GRAPH=1"),
    ],
)
def test_the_command_says_it(monkeypatch, tmp_path, capsys, root, name, said, wanted):
    pytest.importorskip("torch")
    monkeypatch.setenv(name, said)
    out = tmp_path / "run"
    assert run(["train", str(root / "examples/digits/digits.qrl"), "--out", str(out)]) == 2
    err = capsys.readouterr().err
    assert f"error: the environment variable {name} is `{said}`" in err
    assert f"help: {wanted}" in err
    assert not out.exists()  # nothing has been begun


def test_training_obeys(monkeypatch, tmp_path, capsys, root):
    """The variable stands as it stood, and the run has as many threads."""
    pytest.importorskip("torch")
    monkeypatch.setenv("QRLANG_THREADS", "3")
    file = str(root / "examples/digits/digits.qrl")
    short = ["--out", str(tmp_path / "run"), "--steps", "1", "--limit", "32"]
    assert run(["train", file, *short]) == 0
    assert os.environ["QRLANG_THREADS"] == "3"
    assert "native road, 3 threads" in capsys.readouterr().err
    assert run(["train", file, *short[:1], str(tmp_path / "2"), *short[2:], "--threads", "2"]) == 0
    assert "native road, 2 threads" in capsys.readouterr().err
