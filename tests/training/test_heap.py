"""Memory that stays with the process: large tensors touch no new pages in later updates."""

from __future__ import annotations

import subprocess
import sys

import pytest

COUNT = """
import resource
import torch
from qrlang.training import heap

def faults(rounds=5):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        x = torch.empty(10_000_000)
        x.zero_()
        del x
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

first = faults()
kept = heap.keep()
faults(20)  # until free blocks lie beside each other: torch asks for aligned ones
print(kept, first, faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")
def test_what_is_freed_is_used_again() -> None:
    pytest.importorskip("torch")
    said = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True)
    kept, first, later = said.stdout.split()
    if kept == "False":
        pytest.skip("this C library has no such setting")
    assert int(later) < int(first) / 10
