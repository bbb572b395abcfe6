"""CUDA C++ to machine code for one kind of GPU, through NVRTC, kept on disk. Needs no GPU."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from typing import Any

import qrlang
from qrlang.engine import cache
from qrlang.engine.cuda.launcher import Unavailable

MISSING = "cuda-core is not installed: pip install 'qrlang[cuda]'"
OPTIONS = {"std": "c++17"}


@functools.cache
def versions() -> str:
    """Of what makes the code."""
    try:
        core = importlib.metadata.version("cuda-core")
        bindings = importlib.metadata.version("cuda-bindings")
    except importlib.metadata.PackageNotFoundError:
        raise Unavailable(MISSING) from None
    return f"cuda-core {core}, cuda-bindings {bindings}, NVRTC {nvrtc_version()}"


@functools.cache
def nvrtc_version() -> str:
    """Asked of the library itself: torch's packages may bring another than one would think."""
    try:
        nvrtc: Any = importlib.import_module("cuda.bindings.nvrtc")
        _, major, minor = nvrtc.nvrtcVersion()
    except Exception as why:
        raise Unavailable(f"NVRTC, CUDA's run-time compiler, does not load: {_short(why)}") from why
    return f"{major}.{minor}"


def compiled(text: str, arch: int) -> tuple[bytes, bool]:
    """The cubin of a text, and whether it came from the cache."""
    made_by = f"sm_{arch} {sorted(OPTIONS.items())} {versions()}"
    name = cache.key("cuda", text, made_by, qrlang.__version__)
    blob = cache.read(name)
    if blob is not None:
        return blob, True
    blob = compile_now(text, arch)
    cache.write(name, blob)
    return blob, False


def compile_now(text: str, arch: int) -> bytes:
    core: Any = importlib.import_module("cuda.core")
    try:
        program = core.Program(text, "c++", core.ProgramOptions(arch=f"sm_{arch}", **OPTIONS))
        return bytes(program.compile("cubin").code)
    except Exception as why:
        raise Unavailable(
            f"NVRTC {nvrtc_version()} does not compile the kernel for sm_{arch}: {_short(why)}"
        ) from why


def _short(why: Exception) -> str:
    lines = [x.strip() for x in str(why).splitlines() if x.strip()]
    errors = [x for x in lines if "error" in x.lower()]
    return "; ".join((errors or lines)[:3]) or type(why).__name__
