"""The GPU launcher without a GPU: NVRTC where it can be had, a stand-in for the driver, what is said
where something is missing."""

import contextlib
import ctypes
import importlib.util
import types
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cuda_emulator import Module as Emulated  # noqa: E402
from cuda_emulator import _How, available  # noqa: E402

from qrlang.driver import Compilation  # noqa: E402
from qrlang.engine.cuda import compile as compiling  # noqa: E402
from qrlang.engine.cuda import device  # noqa: E402
from qrlang.engine.cuda.launcher import Unavailable  # noqa: E402
from qrlang.engine.cuda.source import Argument, KernelSpec  # noqa: E402
from qrlang.engine.plan import plan  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]

TEXT = """
extern "C" __global__ void add(const long long n, const double* x, double* y) {
  extern __shared__ double kept[];
  kept[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  if (threadIdx.x < n) y[threadIdx.x] += kept[threadIdx.x];
}
"""
SPEC = KernelSpec(
    "add", 32, 1, 1, 256,
    (Argument("batch", "n"), Argument("input", "x", 0), Argument("output", "y", 0)),
)  # fmt: skip


def nvrtc():
    if importlib.util.find_spec("cuda") is None or importlib.util.find_spec("cuda.core") is None:
        pytest.skip("cuda-core is not installed")
    try:
        return compiling.nvrtc_version()
    except Unavailable as why:
        pytest.skip(str(why))


@pytest.mark.parametrize("arch", [80, 90, 100])
def test_nvrtc(arch, tmp_path, monkeypatch):
    nvrtc()
    monkeypatch.setenv("QRLANG_CACHE_DIR", str(tmp_path))
    blob, kept = compiling.compiled(TEXT, arch)
    assert blob[:4] == b"\x7fELF" and not kept
    assert compiling.compiled(TEXT, arch) == (blob, True)
    with pytest.raises(
        Unavailable, match=r"does not compile the kernel for sm_\d+: .*storage class"
    ):
        compiling.compiled("nonsense", arch)


@pytest.mark.parametrize("arch", [80, 90, 100])
@pytest.mark.parametrize("n", [4, 12])
def test_what_is_printed_is_what_nvrtc_takes(n, arch):
    nvrtc()
    from qrlang.engine.cuda.printer import emit

    page = ROOT / "examples" / "qrnn" / "permuted.qrl"
    program = Compilation.of_bytes(str(page), page.read_bytes(), {"n": n, "layers": 1})
    found = plan(next(iter(program.checked.models.values())).program)
    assert compiling.compile_now(emit(found, 64, "float32", arch).text, arch)[:4] == b"\x7fELF"


class Driver:
    """Of the driver's functions those that are called, on the emulator."""

    CUfunction_attribute = types.SimpleNamespace(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES=8)

    def __init__(self):
        self.said, self.module = [], Emulated(TEXT)

    def cuModuleLoadData(self, image):
        self.said.append(ctypes.string_at(image, 4))
        return 0, "module"

    def cuModuleGetFunction(self, module, name):
        return (0, name.decode()) if name == b"add" else (500, None)

    def cuFuncSetAttribute(self, function, attribute, value):
        self.said.append((function, attribute, value))
        return (0,)

    def cuLaunchKernel(self, function, gx, gy, gz, bx, by, bz, shared, stream, places, extra):
        self.said.append((gx, gy, gz, bx, by, bz, shared, stream, extra))
        how = _How((gx, gy, gz), (bx, by, bz), 1, shared, 0, 0)
        return (getattr(self.module.library, f"emu_launch_{function}")(
            ctypes.c_void_p(places), ctypes.byref(how)),)  # fmt: skip

    def cuGetErrorString(self, status):
        return 0, b"named symbol not found"


@pytest.mark.skipif(not available(), reason="no C++ compiler")
def test_what_the_driver_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device", lambda index: contextlib.nullcontext())
    stream = types.SimpleNamespace(cuda_stream=77)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda index: stream)
    gpu = device.Gpu.__new__(device.Gpu)
    gpu.index, gpu.driver = 0, Driver()
    module = device.Module(gpu, b"\x7fELFcode", (SPEC,))
    x, y = torch.arange(32.0, dtype=torch.float64), torch.ones(32, dtype=torch.float64)
    module.launch(SPEC, 1, [30, x.data_ptr(), y.data_ptr()])
    assert gpu.driver.said == [b"\x7fELF", ("add", 8, 256), (1, 1, 1, 32, 1, 1, 256, 77, 0)]
    assert np.array_equal(y.numpy(), 1 + np.where(np.arange(32) < 30, np.arange(32), 0))
    with pytest.raises(
        Unavailable, match=r"says 500 \(named symbol not found\) to cuModuleGetFunction"
    ):
        device.Module(gpu, b"code", (KernelSpec("other", 1, 1, 1, 0, ()),))


def test_why_there_is_no_gpu(monkeypatch):
    device.why_not.cache_clear()
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    assert device.why_not(0) == "cuda-core is not installed: pip install 'qrlang[cuda]'"
    device.why_not.cache_clear()
    monkeypatch.setattr(device, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.why_not(0) == "torch sees no CUDA device"
    device.why_not.cache_clear()
    device.gpu.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "T4")
    assert device.why_not(0) == "T4 has compute capability 7.5, and the kernel needs 8.0"

    def broken(index):
        raise RuntimeError("CUDA driver version is insufficient\nfor this and that")

    device.why_not.cache_clear()
    monkeypatch.setattr(torch.cuda, "get_device_capability", broken)
    assert device.why_not(0) == (
        "the GPU cannot be used: RuntimeError: CUDA driver version is insufficient"
    )
    device.why_not.cache_clear()
