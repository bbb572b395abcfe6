"""CUDA C++ to machine code for one kind of GPU, through NVRTC, kept on disk. Needs no GPU."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import io
import re
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

from qrlang.engine import cache
from qrlang.engine.cuda.launch.launcher import Unavailable
from qrlang.version import VERSION

MISSING = "cuda-core is not installed: pip install 'qrlang[cuda]'"
OPTIONS = {"std": "c++17"}
# A long text is compiled function by function at once: by eight cores in a third of the time.
LARGE, CORES = 100_000, 8
SPLITS = 13  # of NVRTC, the first that can
NVRTC = ("nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12")  # packages that torch brings


@functools.cache
def versions() -> str:
    """Of what makes the code."""
    try:
        core = importlib.metadata.version("cuda-core")
        bindings = importlib.metadata.version("cuda-bindings")
    except importlib.metadata.PackageNotFoundError:
        raise Unavailable(MISSING) from None
    brought = [f"{name} {found}" for name in NVRTC if (found := _version(name))]
    return ", ".join([f"cuda-core {core}", f"cuda-bindings {bindings}", nvrtc_version(), *brought])


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


@functools.cache
def nvrtc_version() -> str:
    """Asked of the library itself: torch's packages may bring another than one would think."""
    try:
        nvrtc: Any = importlib.import_module("cuda.bindings.nvrtc")
        _, major, minor = nvrtc.nvrtcVersion()
    except Exception as why:
        raise Unavailable(
            f"NVRTC, CUDA's run-time compiler, does not load: {_short(why)}{_other_major()}"
        ) from why
    return f"NVRTC {major}.{minor}"


def _other_major() -> str:
    """torch brings the NVRTC of its own CUDA, and cuda-bindings look for that of theirs."""
    torch = sys.modules.get("torch")
    built = str(getattr(getattr(torch, "version", None), "cuda", None) or "").partition(".")[0]
    bindings = _version("cuda-bindings").partition(".")[0]
    if not built or not bindings or built == bindings:
        return ""
    return (
        f". This torch is built for CUDA {built}, and cuda-bindings are for CUDA {bindings}: "
        f"pip install 'cuda-bindings=={built}.*'"
    )


def _major() -> int:
    return int(nvrtc_version().split()[1].partition(".")[0])


@dataclass(frozen=True, slots=True)
class Compiled:
    code: bytes
    kept: bool  # did it come from the cache
    seconds: float


def compiled(text: str, arch: int) -> Compiled:
    """The cubin of a text."""
    begun = time.perf_counter()
    made_by = f"sm_{arch} {sorted(OPTIONS.items())} {versions()}"
    name = cache.key("cuda", text, made_by, VERSION)
    blob = cache.read(name)
    if blob is not None:
        return Compiled(blob, True, time.perf_counter() - begun)
    blob = compile_now(text, arch)
    cache.write(name, blob)
    return Compiled(blob, False, time.perf_counter() - begun)


def compile_now(text: str, arch: int) -> bytes:
    return _compile(text, arch)[0]


def resources(text: str, arch: int) -> tuple[int, int]:
    """Of a kernel: registers of a thread, and bytes of what did not find room in them."""
    versions()
    said = _compile(text, arch, "-v")[1]
    registers = re.findall(r"Used (\d+) registers", said)
    stack = re.findall(r"(\d+) bytes cumulative stack size", said)
    if not registers:
        raise Unavailable(f"{nvrtc_version()} does not say how many registers there are")
    return max(map(int, registers)), max(map(int, stack), default=0)


_importing = threading.Lock()


def _core() -> Any:
    """While one thread imports it, another would find it half made: it takes its own place in
    `sys.modules` on the way."""
    with _importing:
        return importlib.import_module("cuda.core")


def _compile(text: str, arch: int, *ptxas: str) -> tuple[bytes, str]:
    core = _core()
    try:
        more: dict[str, Any] = {}
        if len(text) > LARGE and _major() >= SPLITS:
            more["split_compile"] = CORES
            ptxas = (*ptxas, f"--split-compile={CORES}")
        if ptxas:
            more["ptxas_options"] = list(ptxas)
        options = core.ProgramOptions(arch=f"sm_{arch}", **OPTIONS, **more)
        said = io.StringIO()
        made = core.Program(text, "c++", options).compile("cubin", logs=said)
        return bytes(made.code), said.getvalue()
    except Exception as why:
        if "gpu-architecture" in str(why):
            raise Unavailable(_unknown(arch)) from why
        raise Unavailable(
            f"{nvrtc_version()} does not compile the kernel for sm_{arch}: {_short(why)}"
        ) from why


def _unknown(arch: int) -> str:
    """Of a GPU that is too old for NVRTC, or too new."""
    older = arch < 75  # what CUDA 13 has left behind
    found = f"{nvrtc_version()} makes no code for compute capability {arch // 10}.{arch % 10}: "
    if older:
        return f"{found}a torch for CUDA 12 does, with pip install 'cuda-bindings==12.*'"
    return f"{found}a torch for a newer CUDA does, with the cuda-bindings for that"


def _short(why: Exception) -> str:
    lines = [x.strip() for x in str(why).splitlines() if x.strip()]
    errors = [x for x in lines if "error" in x.lower()]
    return "; ".join((errors or lines)[:3]) or type(why).__name__
