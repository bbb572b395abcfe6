"""An NVIDIA GPU as a launcher: kernels on torch's current stream, in torch's context."""

from __future__ import annotations

import ctypes
import functools
import importlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch

from qrlang.engine.cuda.launch.compile import MISSING, Compiled, compiled
from qrlang.engine.cuda.launch.launcher import NOT_MADE, Unavailable
from qrlang.engine.cuda.layout.multiprocessor import LEAST
from qrlang.engine.cuda.source import KernelSpec, Source


@functools.cache
def why_not(index: int) -> str:
    """What keeps kernels from running on a device; "" if nothing does. Asked once: it compiles,
    loads and launches the smallest kernel there is, which it cannot while a graph is captured."""
    try:
        if find_spec("cuda") is None or find_spec("cuda.core") is None:
            return MISSING
        if not torch.cuda.is_available():
            return "torch sees no CUDA device"
        found = gpu(index)
        recording = found.capturing
        if not recording:
            found.probe()
    except Unavailable as why:
        return str(why)
    except Exception as why:  # a driver or a package that is broken: another road is there
        return f"the GPU cannot be used: {type(why).__name__}: {str(why).partition(chr(10))[0]}"
    if recording:
        raise RuntimeError(NOT_MADE)
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
        with torch.cuda.device(index):
            torch.zeros((), device=self.device)  # torch makes its context, and this is it
            self.context = self.call("cuCtxGetCurrent")

    @property
    def capturing(self) -> bool:
        with torch.cuda.device(self.index):
            return bool(torch.cuda.is_current_stream_capturing())

    @contextmanager
    def current(self) -> Iterator[None]:
        """This device's context for the driver. A thread that has done nothing on the device yet,
        as one of autograd's, has none: torch makes it current only when it needs it itself."""
        self.call("cuCtxPushCurrent", self.context)
        try:
            yield
        finally:
            self.call("cuCtxPopCurrent")

    def load(self, source: Source) -> Module:
        """Both kernels are made at the same time; whoever launches one waits for that one."""
        jobs = {
            spec.name: _makers().submit(compiled, text, self.arch) for spec, text in source.parts
        }
        return Module(self, jobs)

    def probe(self) -> None:
        spec = KernelSpec("probe", 1, 1, 1, 0, ())
        made: Future[Compiled] = Future()
        made.set_result(compiled('extern "C" __global__ void probe() {}\n', self.arch))
        Module(self, {spec.name: made}).launch(spec, 1, ())

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


@functools.cache
def _makers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2, "qrlang-nvrtc")


class Module:
    """A text's kernels as machine code on a device."""

    def __init__(self, gpu: Gpu, jobs: Mapping[str, Future[Compiled]]) -> None:
        self.gpu, self.jobs = gpu, jobs
        self.functions: dict[str, Any] = {}

    def made(self) -> dict[str, Compiled]:
        """How each kernel was made; waits for all."""
        return {name: job.result() for name, job in self.jobs.items()}

    def function(self, spec: KernelSpec) -> Any:
        found = self.functions.get(spec.name)
        if found is None:
            if self.gpu.capturing:
                raise RuntimeError(NOT_MADE)
            blob = self.jobs[spec.name].result().code
            with self.gpu.current():
                found = self.functions[spec.name] = self._loaded(spec, blob)
        return found

    def _loaded(self, spec: KernelSpec, blob: bytes) -> Any:
        call, names = self.gpu.call, self.gpu.driver.CUfunction_attribute
        image = ctypes.create_string_buffer(blob, len(blob))
        function = call(
            "cuModuleGetFunction",
            call("cuModuleLoadData", ctypes.addressof(image)),
            spec.name.encode(),
        )
        if spec.dynamic_shared_bytes > 0:
            # Also below 48 KB: what is static counts towards the limit.
            room = names.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            call("cuFuncSetAttribute", function, room, spec.dynamic_shared_bytes)
        if spec.cluster > 1:
            # Two blocks of one sequence side by side would leave another multiprocessor idle. It is
            # a wish: where it cannot be, all is as it was.
            policy = names.CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE
            spread = self.gpu.driver.CUclusterSchedulingPolicy.CU_CLUSTER_SCHEDULING_POLICY_SPREAD
            self.gpu.driver.cuFuncSetAttribute(function, policy, int(spread))
        return function

    def launch(self, spec: KernelSpec, blocks: int, values: Sequence[int]) -> None:
        function = self.function(spec)
        numbers = (ctypes.c_int64 * max(1, len(values)))(*values)
        first = ctypes.addressof(numbers)
        places = (ctypes.c_void_p * max(1, len(values)))(
            *(first + 8 * i for i in range(len(values)))
        )
        stream = torch.cuda.current_stream(self.gpu.index).cuda_stream
        with self.gpu.current():
            self.gpu.call(
                "cuLaunchKernel", function, blocks, 1, 1, spec.threads, 1, 1,
                spec.dynamic_shared_bytes, stream, ctypes.addressof(places), 0,
            )  # fmt: skip
