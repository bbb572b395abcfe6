"""A model through cuda-bindings as they are installed, on a driver without a GPU (`libcuda.c`): what
the engine tells the driver, in the bindings' own types, from a thread that has no context yet."""

import contextlib
import ctypes
import hashlib
import sys
import threading
import types
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cuda_emulator import Module as Emulated
from cuda_emulator import _How

import qrlang
from qrlang.backends.torch import gpu as torch_gpu
from qrlang.backends.torch.native import road as native
from qrlang.engine.cuda.launch import device
from qrlang.engine.cuda.launch.compile import Compiled
from qrlang.engine.cuda.launch.launcher import Unavailable
from qrlang.engine.cuda.source import KernelSpec

driver = ctypes.CDLL("libcuda.so.1")
driver.fake_context.restype = ctypes.c_void_p
modules: dict[str, Emulated] = {}
launched: list[tuple[str, int, int, int | None]] = []


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint, ctypes.c_uint,
                  ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)  # fmt: skip
def runs(module, name, grid, block, shared, stream, places):
    launched.append((name.decode(), grid, block, stream))
    how = _How((grid, 1, 1), (block, 1, 1), 1, shared, 0, 0)
    run = getattr(modules[module.decode()].library, f"emu_launch_{name.decode()}")
    return run(ctypes.c_void_p(places), ctypes.byref(how))


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)
def has(module, name):
    return name.decode() in modules[module.decode()].names


def compiled(text, arch):
    assert arch == 90
    name = hashlib.sha256(text.encode()).hexdigest()
    modules[name] = Emulated(text)
    return Compiled(b"\x7fELF" + name.encode(), False, 0.0)


def gpu():
    """As on a machine with one, but for the memory."""
    driver.fake_connect(runs, has)
    device.compiled = compiled
    torch.cuda.get_device_capability = lambda index: (9, 0)
    torch.cuda.device = lambda index: contextlib.nullcontext()
    torch.cuda.current_stream = lambda index: types.SimpleNamespace(cuda_stream=77)
    torch.cuda.is_current_stream_capturing = lambda: False
    bindings = __import__("cuda.bindings.driver").bindings.driver
    bindings.cuCtxPushCurrent(driver.fake_context())
    plain, torch.zeros = torch.zeros, lambda *a, **_: None
    made = device.Gpu(0)
    torch.zeros = plain
    bindings.cuCtxPopCurrent()
    made.device = torch.device("cpu")
    return made


def main():
    launcher = gpu()
    launcher.probe()
    native.machine = lambda model: "cuda"
    torch_gpu.launcher = lambda device: launcher
    torch_gpu.unavailable = lambda device: ""
    page = Path(__file__).resolve().parents[3] / "examples" / "copying" / "copying.qrl"
    model = qrlang.load(page, n=3, layers=1, hidden=4, dtype=torch.float64)
    words = torch.randint(0, 10, (5, 4), generator=torch.Generator().manual_seed(0))

    def slopes(found):
        y = model(words)
        found += [y.detach(), *torch.autograd.grad(y.square().sum(), list(model.parameters()))]

    mine, truth = [], []
    thread = threading.Thread(target=slopes, args=(mine,))
    thread.start()
    thread.join()
    model.road = "plain"
    slopes(truth)
    assert len(mine) == len(truth) > 1
    assert all(float((a - b).abs().max()) < 1e-10 for a, b in zip(mine, truth, strict=True))
    assert [name for name, *_ in launched] == ["probe", "forward", "backward"], launched
    assert all(stream == 77 for *_, stream in launched)
    assert driver.fake_depth() == 0
    too_large = KernelSpec("probe", 1, 1, 1, 300 << 10, ())
    other = KernelSpec("other", 1, 1, 1, 0, ())
    kept = 'extern "C" __global__ void probe() {}\n'
    for spec, said in ((too_large, "to cuFuncSetAttribute"), (other, "named symbol not found")):
        made = device.Future()
        made.set_result(compiled(kept, 90))
        try:
            device.Module(launcher, {spec.name: made}).launch(spec, 1, ())
        except Unavailable as why:
            assert said in str(why), why
        else:
            raise AssertionError(spec)
    print("through")


main()
