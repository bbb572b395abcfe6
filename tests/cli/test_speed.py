"""What `qrlc check` may cost: time from a cold process, imports, memory."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

resource = pytest.importorskip("resource")  # not on Windows

HEAVY = ("numpy", "torch", "qiskit", "braket", "scipy", "lark")

CODE = """
import re, sys
from qrlang.cli.main import run
code = run(sys.argv[1:])
try:  # ru_maxrss would also count the process that started this one
    memory = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
except OSError:
    memory = 0
heavy = [m for m in sys.modules if m.split('.')[0] in {heavy!r}]
print(code, memory, *heavy)
"""

MODEL = """
model {name}(n: int = 4, layers: int = 2, hidden: int = 16) {{
  input  x: seq[real[3]]
  target y: real[1]

  qubits     memory[n]
  readout    z      = each_z(memory)
  ansatz     evolve = su2_ring(layers)
  controller steer  = mlp(hidden, tanh)
  layer      head   = linear(1)

  step v in x {{
    apply evolve(steer(v, read z)) to memory
  }}
  return head(read z)
}}
"""
HEAD = "use std.ansatz.su2_ring\nuse std.readout.each_z\n"


def cold(path: Path, *args: str) -> tuple[float, int, list[str]]:
    """Seconds of the processor (the best of three: the machine may be shared), megabytes, and the
    heavy modules that were loaded."""
    best, memory, heavy = 1e9, 0, [""]
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", CODE.format(heavy=HEAVY), "check", str(path), *args],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = min(best, used)
        code, megabytes, *heavy = done.stdout.split()
        assert code == "0", done.stderr
        memory = int(megabytes)
    return best, memory, heavy


def models(lines: int) -> str:
    count = -(-lines // (MODEL.count("\n")))
    return HEAD + "".join(MODEL.format(name=f"M{k}") for k in range(count))


def test_a_hundred_lines(tmp_path: Path) -> None:
    path = tmp_path / "model.qrl"
    path.write_text(models(100))
    seconds, megabytes, heavy = cold(path)
    assert heavy == []
    assert megabytes < 150
    assert seconds < 0.5  # the figure is 0.35 s; a slower machine may run this


def test_ten_thousand_lines(tmp_path: Path) -> None:
    path = tmp_path / "model.qrl"
    path.write_text(models(10_000))
    seconds, megabytes, heavy = cold(path)
    assert heavy == []
    assert megabytes < 150
    assert seconds < 5  # the figure is 4 s


def test_compiling_the_qrnn() -> None:
    """To optimised IR at n = 14, layers = 4: under 1 s."""
    from cli_tools import qrlc

    path = Path(__file__).parent / "golden" / "qrnn.qrl"
    start = time.process_time()
    done = qrlc("compile", path, "--emit", "opt", "--set", "n=14", "--set", "layers=4")
    assert done.code == 0
    assert time.process_time() - start < 1
