"""An NVIDIA GPU as a launcher: kernels on torch's current stream, in torch's context."""

from __future__ import annotations

import ctypes
import functools
import importlib
import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import torch

from qrlang.engine.cuda.compile import MISSING, compiled
from qrlang.engine.cuda.launcher import Unavailable
from qrlang.engine.cuda.source import KernelSpec, Source

LEAST = 80  # compute capability 8.0


@functools.cache
def why_not(index: int) -> str:
    """What keeps kernels from running on a device; "" if nothing does. Asked once: it compiles,
    loads and launches the smallest kernel there is."""
    try:
        if find_spec("cuda") is None or find_spec("cuda.core") is None:
            return MISSING
        if not torch.cuda.is_available():
            return "torch sees no CUDA device"
        gpu(index).probe()
    except Unavailable as why:
        return str(why)
    except Exception as why:  # a driver or a package that is broken: another road is there
        return f"the GPU cannot be used: {type(why).__name__}: {str(why).partition(chr(10))[0]}"
    return ""


@functools.cache
def gpu(index: int) -> Gpu:
    return Gpu(index)


class Gpu:
    def __init__(self, index: int) -> None:
        self.index = index
        self.device = torch.device("cuda", index)
        major, minor = torch.cuda.get_device_capability(index)
        self.arch = 10 * major + minor
        if self.arch < LEAST:
            name = torch.cuda.get_device_name(index)
            raise Unavailable(
                f"{name} has compute capability {major}.{minor}, and the kernel needs "
                f"{LEAST // 10}.{LEAST % 10}"
            )
        self.driver: Any = importlib.import_module("cuda.bindings.driver")

    @property
    def capturing(self) -> bool:
        return bool(torch.cuda.is_current_stream_capturing())

    def load(self, source: Source) -> Module:
        begun = time.perf_counter()
        blob, kept = compiled(source.text, self.arch)
        with torch.cuda.device(self.index):
            module = Module(self, blob, (source.forward, source.backward))
        module.from_cache, module.made_in = kept, time.perf_counter() - begun
        return module

    def probe(self) -> None:
        spec = KernelSpec("probe", 1, 1, 1, 0, ())
        blob, _ = compiled('extern "C" __global__ void probe() {}\n', self.arch)
        with torch.cuda.device(self.index):
            torch.zeros((), device=self.device)  # torch makes its context
            Module(self, blob, (spec,)).launch(spec, 1, ())

    def call(self, name: str, *arguments: Any) -> Any:
        """A function of the driver; its results without the status."""
        status, *found = getattr(self.driver, name)(*arguments)
        if int(status) != 0:
            raise Unavailable(f"the CUDA driver says {self._said(status)} to {name}")
        return found[0] if found else None

    def _said(self, status: Any) -> str:
        _, text = self.driver.cuGetErrorString(status)
        name = getattr(status, "name", str(status))
        return f"{name} ({text.decode() if isinstance(text, bytes) else text})"


class Module:
    """Machine code on a device."""

    def __init__(self, gpu: Gpu, blob: bytes, specs: Sequence[KernelSpec]) -> None:
        self.gpu = gpu
        self.from_cache, self.made_in = False, 0.0
        image = ctypes.create_string_buffer(blob, len(blob))
        self.module = gpu.call("cuModuleLoadData", ctypes.addressof(image))
        self.functions: dict[str, Any] = {}
        attribute = gpu.driver.CUfunction_attribute
        room = attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        for spec in specs:
            function = gpu.call("cuModuleGetFunction", self.module, spec.name.encode())
            if spec.dynamic_shared_bytes > 0:
                # Also below 48 KB: what is static counts towards the limit.
                gpu.call("cuFuncSetAttribute", function, room, spec.dynamic_shared_bytes)
            self.functions[spec.name] = function

    def launch(self, spec: KernelSpec, blocks: int, values: Sequence[int]) -> None:
        numbers = (ctypes.c_int64 * max(1, len(values)))(*values)
        first = ctypes.addressof(numbers)
        places = (ctypes.c_void_p * max(1, len(values)))(
            *(first + 8 * i for i in range(len(values)))
        )
        index = self.gpu.index
        stream = torch.cuda.current_stream(index).cuda_stream
        with torch.cuda.device(index):
            self.gpu.call(
                "cuLaunchKernel", self.functions[spec.name], blocks, 1, 1, spec.threads, 1, 1,
                spec.dynamic_shared_bytes, stream, ctypes.addressof(places), 0,
            )  # fmt: skip
