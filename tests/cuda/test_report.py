"""`qrlc inspect --device cuda`: how a GPU would run a model, said without one."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "engine"))

from cli_tools import qrlc
from engine_programs import angle, qrnn

from qrlang.engine.cuda.launch import compile as compiling
from qrlang.engine.cuda.launch.launcher import Unavailable
from qrlang.engine.cuda.report import page, report
from qrlang.engine.plan import plan
from qrlang.ir import program as ir

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize(
    ("n", "batch", "arch", "mapping", "launch"),
    [
        (4, 4096, 90, "lanes of a warp: 16 threads for each sequence, 1 amplitude in each",
         "512 blocks of 128 threads, 8 sequences in each"),
        (8, 512, 90, "a warp: 32 threads for each sequence, 8 amplitudes in each",
         "128 blocks of 128 threads, 4 sequences in each"),
        (10, 512, 80, "two warps: 64 threads for each sequence, 16 amplitudes in each",
         "512 blocks of 64 threads"),
        (10, 1, 80, "four warps: 128 threads for each sequence, 8 amplitudes in each",
         "1 block of 128 threads"),
        (12, 3, 90, "block: 256 threads for each sequence, 16 amplitudes in each",
         "3 blocks of 256 threads"),
        (14, 64, 90, "cluster: 512 threads for each sequence, 32 amplitudes in each",
         "128 blocks of 256 threads, clusters of 2"),
        (20, 4, 89, "global memory: 256 threads for each sequence, 16 amplitudes in each",
         "4 blocks of 256 threads"),
    ],
)  # fmt: skip
def test_mappings_in_words(n, batch, arch, mapping, launch):
    lines = page(report(plan(qrnn(n)), batch, arch, compile_too=False), batch)
    assert lines[1] == (
        f"On a GPU of compute capability {arch // 10}.{arch % 10}, {batch} sequences at once, in "
        "single precision"
    )
    assert lines[2] == f"  mapping   {mapping}" and lines[3] == f"  launch    {launch}"
    walks = [line for line in lines if "walks along the state 2 times" in line]
    assert len(walks) == (n == 20)


@pytest.mark.parametrize(
    ("n", "layer", "said"),
    [
        (14, "ring", "half of the amplitudes to the other block once"),
        (14, "line", "half of the amplitudes to the other block twice"),
        (15, "ring", "three quarters of the amplitudes to other blocks twice"),
        (16, "ring", "seven eighths of the amplitudes to other blocks twice"),
        (13, "ring", None),
    ],
)
def test_what_goes_from_block_to_block(n, layer, said):
    def line(linear, qubits):
        theta = linear(n)
        turns = [ir.Gate("ry", (q,), (angle(theta, q),)) for q in qubits]
        return [*turns, *(ir.Gate("x", (q + 1,), (), (q,)) for q in qubits[:-1])]

    made = qrnn(n, ansatz=line if layer == "line" else None)
    lines = page(report(plan(made), 64, compile_too=False), 64)
    found = [x for x in lines if x.startswith("  a layer   ")]
    assert found == ([f"  a layer   sends {said}"] if said else [])


def test_how_many_blocks_at_once():
    """Reckoned by hand: of 64 threads with at most 128 registers, by shared memory here."""
    found = report(plan(qrnn(10, width=32, features=8)), 512, compile_too=False)
    back = found["kernels"]["backward"]
    assert back["at_most"] == 128 and back["registers"] is None
    room = (228 << 10) // (back["shared_bytes"] + 1024)
    assert back["blocks_at_once"] == min(room, 65536 // (128 * 64), 32)
    assert back["occupancy"] == back["blocks_at_once"] * 64 / 2048


def test_without_a_compiler_or_with_one():
    try:
        found = report(plan(qrnn(3)), 64)
    finally:
        compiling.versions.cache_clear()
    try:
        compiling.versions()
    except Unavailable as why:
        assert found["no_compiler"] == str(why)
        assert found["kernels"]["forward"]["registers"] is None
        return
    assert not found["no_compiler"]
    used = found["kernels"]["backward"]
    assert 16 < used["registers"] <= used["at_most"] and used["stack_bytes"] >= 0


def test_the_command(monkeypatch):
    monkeypatch.setattr(compiling, "resources", lambda text, arch: (arch, 0))
    file = EXAMPLES / "qrnn" / "rows.qrl"
    done = qrlc("inspect", str(file), "--device", "cuda", "--set", "n=4", "--batch", "512")
    assert "  launch    128 blocks of 128 threads, 4 sequences in each\n" in done.out
    assert "  forward   90 registers, " in done.out
    done = qrlc("inspect", str(file), "--device", "cuda", "--capability", "8.0",
                "--format", "json")  # fmt: skip
    (model,) = done.data()["models"]
    assert model["gpu"]["arch"] == 80 and model["gpu"]["mapping"] == "four warps"
    assert "On a GPU" not in qrlc("inspect", str(file)).out
    noisy = qrlc("inspect", str(EXAMPLES / "noise" / "noisy.qrl"), "--device", "cuda").out
    assert "no kernel, but another road, for a noise channel" in noisy
    assert qrlc("inspect", str(file), "--device", "cuda", "--capability", "6.1").code == 2
