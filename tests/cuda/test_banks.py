"""What the kernels' accesses to shared memory cost: in how many turns of 32 banks each warp's lanes are
served, as the emulator counts it."""

import ctypes
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parent.parent / "engine"))

from cuda_emulator import Module, available
from emulated import Emulated
from engine_programs import qrnn
from engine_tools import draw

from qrlang.engine.cuda.launch import runtime
from qrlang.engine.cuda.layout.mapping import choose
from qrlang.engine.plan import plan

pytestmark = pytest.mark.skipif(
    not available() or shutil.which("addr2line") is None, reason="no C++ compiler"
)

TEXT = """
struct __align__(8) Two { float x, y; };
struct __align__(16) Four { float x, y, z, w; };
extern "C" __global__ __cluster_dims__(2, 1, 1) void walk(int by, Two* y) {
  extern __shared__ __align__(16) char smem[];
  const int lane = threadIdx.x, at = lane * by;
  *(float*)(smem + at) = 1;
  __syncwarp();
  const Four four = *(Four*)(smem + at / 16 * 16);
  __cluster_barrier_arrive();
  __cluster_barrier_wait();
  const char* other = (const char*)__cluster_map_shared_rank(smem, __clusterRelativeBlockRank() ^ 1);
  y[lane] = *(const Two*)(smem + at / 8 * 8);
  y[lane] = *(const Two*)(other + at / 8 * 8);
  y[lane].x += four.x;
  __cluster_barrier_arrive();
  __cluster_barrier_wait();
}
"""


def counted(by):
    """Of a warp's numbers, fours, pairs, and pairs of the other block: (turns, at least)."""
    module, y = Module(TEXT, banks=True), np.zeros(64, np.float32)
    given = [ctypes.c_int(by), ctypes.c_void_p(y.ctypes.data)]
    module.launch("walk", (2,), (32,), given, shared=32 * 128, cluster=2)
    found = sorted(module.served(), key=lambda x: x.line)
    assert [x.warps for x in found] == [2] * 4 and [x.far for x in found] == [False] * 3 + [True]
    return [(x.turns // 2, x.least // 2) for x in found]


def test_turns_are_counted_as_a_gpu_takes_them():
    assert counted(0) == [(1, 1), (1, 1), (1, 1), (1, 1)]  # all the same
    assert counted(4) == [(1, 1), (1, 1), (1, 1), (1, 1)]  # several lanes at one place
    assert counted(8) == [(2, 1), (4, 4), (2, 2), (2, 2)]
    assert counted(16) == [(4, 1), (4, 4), (4, 2), (4, 2)]
    assert counted(128) == [(32, 1), (32, 4), (32, 2), (32, 2)]


@pytest.mark.parametrize(("n", "batch"), [(10, 512), (12, 256), (14, 128)])
def test_amplitudes_meet_no_conflicts(n, batch):
    """In the kernels that are measured, layers there and back; and what goes to another block goes
    in whole lines."""
    program = qrnn(n, 2, width=32, features=8)
    found, launcher = plan(program), Emulated(banks=True)
    kernel = runtime.Kernel(found, "float32", launcher)
    kernel.mapping = lambda _: choose(found, batch)
    weights, inputs = draw(program, 1, 1)
    y, saved = kernel.forward(inputs, [weights[w.name] for w in found.weights])
    kernel.backward(saved, y)
    lines = saved.made.source.text.splitlines()
    for kind, served in launcher.served.items():
        amplitudes = [x for x in served if "(C*)(smem + (" in lines[x.line - 1]]
        assert sum(x.warps for x in amplitudes) > 100
        assert all(x.turns == x.least for x in amplitudes), kind
        far = [x for x in served if x.far and "far_load" in lines[x.line - 1]]
        assert bool(far) == (n == 14) and all(x.turns == x.least for x in far), kind
