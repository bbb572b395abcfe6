"""The emulator itself: it runs what is right, and says what is wrong."""

import ctypes

import numpy as np
import pytest
from cuda_emulator import EmulatorError, Module, available

pytestmark = pytest.mark.skipif(not available(), reason="no C++ compiler")

TEXT = r"""
template <class T> __device__ __forceinline__ T warp_sum(T v) {
#pragma unroll
  for (int d = 16; d; d >>= 1) v += __shfl_xor_sync(0xffffffffu, v, d);
  return v;
}
extern "C" __global__ void __launch_bounds__(64) total(const float* __restrict__ x, float* y, int n) {
  __shared__ float part[2];
  extern __shared__ __align__(16) float kept[];
  float v = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) v += x[i];
  v = warp_sum(v);
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;
  kept[threadIdx.x] = v;
  __syncthreads();
  if (threadIdx.x == 0) atomicAdd(y, part[0] + part[1]);
}
extern "C" __global__ void halves(int* y) {  // two groups of 16 lanes that go their own ways
  int lane = threadIdx.x;
  unsigned mask = lane < 16 ? 0xffffu : 0xffff0000u;
  int v = lane;
  for (int i = 0; i < (lane < 16 ? 3 : 5); i++) v = __shfl_sync(mask, v, (lane + 1) % 16, 16);
  y[lane] = v;
}
extern "C" __global__ void unguarded(float* y) {
  __shared__ float part[64];
  part[threadIdx.x] = threadIdx.x;
  y[threadIdx.x] = part[63 - threadIdx.x];
}
extern "C" __global__ void shuffled(int* y) {  // waits for lanes, and not for their memory
  __shared__ int part[32];
  part[threadIdx.x] = threadIdx.x;
  int up = __shfl_xor_sync(0xffffffffu, int(threadIdx.x), 1);
  y[threadIdx.x] = part[up];
}
extern "C" __global__ __cluster_dims__(2, 1, 1) void pair(float* y) {
  extern __shared__ float kept[];
  kept[threadIdx.x] = blockIdx.x * 100 + threadIdx.x;
  __cluster_barrier_arrive();
  __cluster_barrier_wait();
  float* other = (float*)__cluster_map_shared_rank(kept, __clusterRelativeBlockRank() ^ 1);
  y[blockIdx.x * blockDim.x + threadIdx.x] = other[threadIdx.x];
  __cluster_barrier_arrive();
  __cluster_barrier_wait();
}
extern "C" __global__ __cluster_dims__(2, 1, 1) void relaxed(float* y) {  // waits, and tells nothing
  extern __shared__ float kept[];
  kept[threadIdx.x] = blockIdx.x * 100 + threadIdx.x;
  __cluster_barrier_arrive_relaxed();
  __cluster_barrier_wait();
  float* other = (float*)__cluster_map_shared_rank(kept, __clusterRelativeBlockRank() ^ 1);
  y[blockIdx.x * blockDim.x + threadIdx.x] = other[threadIdx.x];
  __cluster_barrier_arrive();
  __cluster_barrier_wait();
}
extern "C" __global__ void warps(float* y) {  // each pair of warps meets at a barrier of its own
  __shared__ float part[128];
  int pair = threadIdx.x / 64;
  part[threadIdx.x] = threadIdx.x;
  emu::named_barrier(1 + pair, 64);
  y[threadIdx.x] = part[pair * 64 + 63 - threadIdx.x % 64];
}
extern "C" __global__ void left() { if (threadIdx.x) __syncthreads(); }
extern "C" __global__ void parted() { if (threadIdx.x < 32) __syncthreads(); else __syncwarp(); while (0); }
extern "C" __global__ void divergent() {
  if (threadIdx.x < 16)
    __syncthreads();
  else
    __syncthreads();
}
extern "C" __global__ void crossed(int* y) {
  if (threadIdx.x < 16) y[threadIdx.x] = __shfl_sync(0xffffffffu, 1, 0); else __syncwarp();
}
extern "C" __global__ void beyond() {
  extern __shared__ float kept[];
  if (threadIdx.x == 0) kept[40] = 1;
}
"""


def pointer(x):
    return ctypes.c_void_p(x.ctypes.data)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "watched"])
def module(request):
    return Module(TEXT, races=request.param)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_sums_shuffles_and_clusters(module, order):
    x, y = np.arange(1000, dtype=np.float32), np.zeros(1, np.float32)
    given = [pointer(x), pointer(y), ctypes.c_int(1000)]
    module.launch("total", (3,), (64,), given, shared=256, order=order)
    assert y[0] == x.sum()
    lanes = np.zeros(32, np.int32)
    module.launch("halves", (1,), (32,), [pointer(lanes)], order=order)
    assert lanes.tolist() == [(i + 3) % 16 for i in range(16)] + [
        16 + (i + 5) % 16 for i in range(16)
    ]
    z = np.zeros(64, np.float32)
    module.launch("pair", (2,), (32,), [pointer(z)], shared=128, cluster=2, order=order)
    assert z.tolist() == [*range(100, 132), *range(32)]
    w = np.zeros(128, np.float32)
    module.launch("warps", (1,), (128,), [pointer(w)], order=order)
    assert w.tolist() == [*range(63, -1, -1), *range(127, 63, -1)]


def test_a_missing_barrier_shows(module):
    found = []
    for order in (0, 1):
        y = np.zeros(64, np.float32)
        if module.races:
            with pytest.raises(EmulatorError, match=r"without a barrier between.*kernel\.cu:\d+"):
                module.launch("unguarded", (1,), (64,), [pointer(y)], order=order)
        else:
            module.launch("unguarded", (1,), (64,), [pointer(y)], order=order)
            found.append(y)
    if found:
        assert not np.array_equal(found[0], found[1], equal_nan=True)


def test_a_shuffle_is_no_barrier():
    y = np.zeros(32, np.int32)
    with pytest.raises(EmulatorError, match="without a barrier between"):
        Module(TEXT, races=True).launch("shuffled", (1,), (32,), [pointer(y)])


def test_a_relaxed_arrival_tells_nothing():
    z = np.zeros(64, np.float32)
    module = Module(TEXT, races=True)
    module.launch("pair", (2,), (32,), [pointer(z)], shared=128, cluster=2)
    with pytest.raises(EmulatorError, match="without a barrier between"):
        module.launch("relaxed", (2,), (32,), [pointer(z)], shared=128, cluster=2)


@pytest.mark.parametrize(
    ("name", "threads", "given", "shared", "cluster", "said"),
    [
        ("left", 32, 0, 0, 1, "have returned"),
        ("parted", 64, 0, 0, 1, "__syncthreads"),
        ("divergent", 32, 0, 0, 1, "different barriers"),
        ("crossed", 32, 1, 0, 1, "different collectives"),
        ("beyond", 32, 0, 128, 1, "behind the dynamic shared memory"),
        ("pair", 32, 1, 128, 3, "whole number of clusters"),
        ("total", 32, 1, 0, 1, "takes parameters of"),
        ("left", 2048, 0, 0, 1, "1 to 1024 threads"),
        ("left", 32, 0, 300 << 10, 1, "227 KB"),
        ("nothing", 32, 0, 0, 1, "no kernel"),
    ],
)
def test_what_no_gpu_puts_up_with(module, name, threads, given, shared, cluster, said):
    y = np.zeros(64, np.int32)
    with pytest.raises(EmulatorError, match=said):
        module.launch(name, (2,), (threads,), [pointer(y)] * given, shared=shared, cluster=cluster)


def test_text_that_does_not_compile():
    with pytest.raises(EmulatorError, match="nonsense"):
        Module('extern "C" __global__ void f() { nonsense(); }')
