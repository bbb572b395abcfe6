"""The GPU launcher without a GPU: NVRTC where it can be had, a stand-in for the driver, what is said
where something is missing."""

import contextlib
import ctypes
import importlib.util
import inspect
import os
import shutil
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cuda_emulator import Module as Emulated  # noqa: E402
from cuda_emulator import _How, available  # noqa: E402

from qrlang.driver import Compilation  # noqa: E402
from qrlang.engine.cuda.launch import compile as compiling  # noqa: E402
from qrlang.engine.cuda.launch import device  # noqa: E402
from qrlang.engine.cuda.launch.launcher import Unavailable  # noqa: E402
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


@pytest.mark.parametrize("arch", [75, 80, 90, 100])
def test_nvrtc(arch, tmp_path, monkeypatch):
    nvrtc()
    monkeypatch.setenv("QRLANG_CACHE_DIR", str(tmp_path))
    made = compiling.compiled(TEXT, arch)
    assert made.code[:4] == b"\x7fELF" and not made.kept
    again = compiling.compiled(TEXT, arch)
    assert again.code == made.code and again.kept
    with pytest.raises(
        Unavailable, match=r"does not compile the kernel for sm_\d+: .*storage class"
    ):
        compiling.compiled("nonsense", arch)


def test_a_gpu_that_this_compiler_does_not_know():
    made_by = nvrtc()
    with pytest.raises(Unavailable, match=r"capability 55.5: a torch for a newer CUDA does"):
        compiling.compiled(TEXT, 555)
    if made_by >= "NVRTC 13":
        with pytest.raises(Unavailable, match=r"capability 7.0: a torch for CUDA 12 does"):
            compiling.compiled(TEXT, 70)


@pytest.mark.parametrize(("n", "arch"), [(4, 75), (4, 80), (12, 75), (12, 100), (14, 90), (18, 90)])
def test_what_is_printed_is_what_nvrtc_takes(n, arch):
    """Lanes, a block, a cluster, tiles of global memory: each kernel by itself."""
    nvrtc()
    from qrlang.engine.cuda.printer import emit

    page = ROOT / "examples" / "qrnn" / "permuted.qrl"
    program = Compilation.of_bytes(str(page), page.read_bytes(), {"n": n, "layers": 1})
    found = plan(next(iter(program.checked.models.values())).program)
    for _, text in emit(found, 64, "float32", arch).parts:
        assert compiling.compile_now(text, arch)[:4] == b"\x7fELF"


def test_a_torch_of_another_cuda(monkeypatch):
    """Whose NVRTC the bindings would not find."""
    versions = {"cuda-bindings": "13.5.0"}
    monkeypatch.setattr(compiling, "_version", lambda name: versions.get(name, ""))
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(compiling.importlib, "import_module", lambda name: 1 / 0)
    compiling.nvrtc_version.cache_clear()
    with pytest.raises(Unavailable, match=r"CUDA 12, and .* 13: pip install 'cuda-bindings==12"):
        compiling.nvrtc_version()
    versions.clear()
    with pytest.raises(Unavailable, match=r"does not load: division by zero$"):
        compiling.nvrtc_version()


class Driver:
    """Of the driver's functions those that are called, on the emulator: with the parameters that
    cuda-bindings have, and only where a context is current."""

    CUfunction_attribute = types.SimpleNamespace(
        CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES=8,
        CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE=15,
    )
    CUclusterSchedulingPolicy = types.SimpleNamespace(CU_CLUSTER_SCHEDULING_POLICY_SPREAD=1)

    def __init__(self):
        self.said, self.module, self.contexts = [], Emulated(TEXT), []

    def cuCtxGetCurrent(self):
        return 0, self.contexts[-1] if self.contexts else None

    def cuCtxPushCurrent(self, ctx):
        self.contexts.append(ctx)
        return (0,)

    def cuCtxPopCurrent(self):
        return 0, self.contexts.pop()

    def cuModuleLoadData(self, image):
        assert self.contexts == ["context"]
        self.said.append(ctypes.string_at(image, 4))
        return 0, "module"

    def cuModuleGetFunction(self, hmod, name):
        return (0, name.decode()) if name == b"add" else (500, None)

    def cuFuncSetAttribute(self, hfunc, attrib, value):
        self.said.append((hfunc, attrib, value))
        return (0,)

    def cuLaunchKernel(
        self, f, gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes,
        hStream, kernelParams, extra,
    ):  # fmt: skip
        assert self.contexts == ["context"]
        grid, block = (gridDimX, gridDimY, gridDimZ), (blockDimX, blockDimY, blockDimZ)
        self.said.append((*grid, *block, sharedMemBytes, hStream, extra))
        how = _How(grid, block, 1, sharedMemBytes, 0, 0)
        return (getattr(self.module.library, f"emu_launch_{f}")(
            ctypes.c_void_p(kernelParams), ctypes.byref(how)),)  # fmt: skip

    def cuGetErrorString(self, error):
        return 0, b"named symbol not found"


def test_the_double_is_called_as_the_bindings_are():
    bindings = pytest.importorskip("cuda.bindings.driver")
    for name, double in vars(Driver).items():
        if name.startswith("cu"):
            mine = list(inspect.signature(double).parameters)[1:]
            assert mine == list(inspect.signature(getattr(bindings, name)).parameters), name
    for kind in ("CUfunction_attribute", "CUclusterSchedulingPolicy"):
        for name, value in vars(getattr(Driver, kind)).items():
            assert int(getattr(getattr(bindings, kind), name)) == value


class Options:
    """cuda.core.ProgramOptions, with the parameters that are used."""

    def __init__(self, *, arch=None, ptxas_options=None, std=None):
        self.given = {"arch": arch, "ptxas_options": ptxas_options, "std": std}


class Program:
    """cuda.core.Program, likewise."""

    made: ClassVar[list[dict[str, object]]] = []

    def __init__(self, code, code_type, options=None):
        assert "__global__" in code and code_type == "c++"
        self.made.append(options.given)

    def compile(self, target_type, name_expressions=(), logs=None, *, cache=None):
        assert target_type == "cubin"
        said = "ptxas info    : Used 125 registers, used 0 barriers, 16 bytes cumulative stack size"
        logs.write(said if self.made[-1]["ptxas_options"] else "")
        return types.SimpleNamespace(code=b"\x7fELFcode")


def test_the_compiler_is_called_as_it_is(monkeypatch):
    """Also where there is none; and where there is, the double has its parameters."""
    core = types.SimpleNamespace(Program=Program, ProgramOptions=Options)
    with monkeypatch.context() as m:
        m.setitem(sys.modules, "cuda.core", core)
        m.setattr(compiling, "versions", lambda: "")
        assert compiling.compile_now(TEXT, 90) == b"\x7fELFcode"
        assert compiling.resources(TEXT, 100) == (125, 16)
    assert Program.made == [
        {"arch": "sm_90", "ptxas_options": None, "std": "c++17"},
        {"arch": "sm_100", "ptxas_options": ["-v"], "std": "c++17"},
    ]
    real = pytest.importorskip("cuda.core")
    mine = list(inspect.signature(Options).parameters)
    assert set(mine) <= set(inspect.signature(real.ProgramOptions).parameters)
    assert list(inspect.signature(Program.compile).parameters) == list(
        inspect.signature(real.Program.compile).parameters
    )


@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("gcc") is None or not available(), reason="no compiler"
)
def test_through_the_bindings_as_they_are(tmp_path):
    """`driver/through.py`: there and back through cuda-bindings, on a driver without a GPU."""
    pytest.importorskip("cuda.bindings.driver")
    here = Path(__file__).parent / "driver"
    build = ["gcc", "-O1", "-shared", "-fPIC", "-fvisibility=hidden"]
    subprocess.run([*build, "-o", tmp_path / "libcuda.so.1", here / "libcuda.c"], check=True)
    done = subprocess.run(
        [sys.executable, str(here / "through.py")], capture_output=True, text=True, check=False,
        env=os.environ | {"LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout.endswith("through\n"), done.stdout + done.stderr


def made(text=b"\x7fELFcode"):
    job = device.Future()
    job.set_result(compiling.Compiled(text, True, 0.0))
    return job


@pytest.mark.skipif(not available(), reason="no C++ compiler")
def test_what_the_driver_is_told(monkeypatch):
    stream = types.SimpleNamespace(cuda_stream=77)
    monkeypatch.setattr(torch.cuda, "device", lambda index: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda index: stream)
    recording = []
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: bool(recording))
    gpu = device.Gpu.__new__(device.Gpu)
    gpu.index, gpu.driver, gpu.context = 0, Driver(), "context"
    module = device.Module(gpu, {"add": made(), "other": made()})
    x, y = torch.arange(32.0, dtype=torch.float64), torch.ones(32, dtype=torch.float64)
    given = [30, x.data_ptr(), y.data_ptr()]
    recording.append(1)
    with pytest.raises(RuntimeError, match="call the model once, forward and backward"):
        module.launch(SPEC, 1, given)
    recording.clear()
    module.launch(SPEC, 1, given)
    recording.append(1)  # it is there now
    module.launch(SPEC, 1, given)
    recording.clear()
    launch = (1, 1, 1, 32, 1, 1, 256, 77, 0)
    assert gpu.driver.said == [b"\x7fELF", ("add", 8, 256), launch, launch]
    assert np.array_equal(y.numpy(), 1 + 2 * np.where(np.arange(32) < 30, np.arange(32), 0))
    gpu.driver.said.clear()
    device.Module(gpu, {"add": made()}).function(replace(SPEC, cluster=2))
    assert gpu.driver.said == [
        b"\x7fELF",
        ("add", 8, 256),
        ("add", 15, 1),
    ]  # on two multiprocessors
    other = KernelSpec("other", 1, 1, 1, 0, ())
    said = r"says 500 \(named symbol not found\) to cuModuleGetFunction"
    with pytest.raises(Unavailable, match=said):
        module.launch(other, 1, ())
    assert not gpu.driver.contexts


def test_a_graph_captured_first_of_all_says_what_to_do(monkeypatch):
    """And it is asked again later, when kernels can be loaded."""
    probed = []
    found = types.SimpleNamespace(capturing=True, probe=lambda: probed.append(1))
    device.why_not.cache_clear()
    monkeypatch.setattr(device, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(device, "gpu", lambda index: found)
    with pytest.raises(RuntimeError, match="call the model once, forward and backward"):
        device.why_not(0)
    found.capturing = False
    assert device.why_not(0) == "" and probed
    device.why_not.cache_clear()


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
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (6, 1))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "P4")
    assert device.why_not(0) == "P4 has compute capability 6.1, and the kernel needs 7.0"

    def broken(index):
        raise RuntimeError("CUDA driver version is insufficient\nfor this and that")

    device.why_not.cache_clear()
    monkeypatch.setattr(torch.cuda, "get_device_capability", broken)
    assert device.why_not(0) == (
        "the GPU cannot be used: RuntimeError: CUDA driver version is insufficient"
    )
    device.why_not.cache_clear()
