"""This processor, and turning IR text into code for it through llvmlite."""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
from typing import Any

from qrlang.engine.cpu.asm import Machine


class NoCompiler(Exception):
    """llvmlite is not there."""


def llvm() -> Any:
    try:
        return importlib.import_module("llvmlite.binding")
    except ImportError as why:
        raise NoCompiler("llvmlite is not installed: pip install 'qrlang[torch]'") from why


@functools.cache
def _ready() -> Any:
    binding = llvm()
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


@functools.cache
def host(wanted: str = "") -> Machine:
    """The vectors to use: the widest there are, or those named by `wanted` or QRLANG_VECTORS
    (`avx512`, `avx2`, `portable`)."""
    binding = _ready()
    wanted = wanted or os.environ.get("QRLANG_VECTORS", "")
    have = {k for k, on in binding.get_host_cpu_features().items() if on}
    triple, cpu = binding.get_process_triple(), binding.get_host_cpu_name()
    wide = {"avx512f", "avx512dq", "avx512vl", "avx512bw"} <= have
    if wide and wanted in ("", "avx512"):
        return Machine(
            triple, cpu, binding.get_host_cpu_features().flatten(), 512, True, "avx512", 32
        )
    if {"avx2", "fma"} <= have and wanted in ("", "avx2"):
        if wanted and wide:
            cpu, features = "x86-64-v3", ""
        else:
            features = binding.get_host_cpu_features().flatten()
        return Machine(triple, cpu, features, 256, True, "avx2", 16)
    portable = triple.startswith("x86_64") and bool(wanted)
    fma = "fma" in have or not triple.startswith("x86_64")
    if portable:
        return Machine(triple, "x86-64", "", 128, False, "none", 16)
    features = binding.get_host_cpu_features().flatten()
    return Machine(triple, cpu, features, 128, fma, "none", 16 if "x86" in triple else 32)


def versions() -> str:
    version = importlib.import_module("llvmlite").__version__
    return f"llvmlite {version} LLVM {'.'.join(map(str, llvm().llvm_version_info))}"


def assemble(text: str, machine: Machine, opt: int = 2) -> bytes:
    """IR text -> an object file."""
    binding = _ready()
    target = binding.Target.from_triple(machine.triple)
    tm = target.create_target_machine(
        cpu=machine.cpu, features=machine.features, opt=opt, reloc="default", codemodel="jitdefault"
    )
    module = binding.parse_assembly(text)
    return bytes(tm.emit_object(module))


class Code:
    """An object file in memory, ready to call."""

    def __init__(self, blob: bytes, machine: Machine) -> None:
        binding = _ready()
        target = binding.Target.from_triple(machine.triple)
        tm = target.create_target_machine(
            cpu=machine.cpu, features=machine.features, codemodel="jitdefault"
        )
        empty = binding.parse_assembly(f'target triple = "{machine.triple}"')
        self.engine = binding.create_mcjit_compiler(empty, tm)
        self.engine.add_object_file(binding.ObjectFileRef.from_data(blob))
        self.engine.finalize_object()

    def address(self, name: str) -> int:
        return int(self.engine.get_function_address(name))

    def function(self, name: str) -> Any:
        words = [ctypes.c_void_p] * 4 + [ctypes.c_int64] * 2
        return ctypes.CFUNCTYPE(None, *words)(self.address(name))

    def set_constants(self, where: int) -> None:
        at = int(self.engine.get_global_value_address("constants"))
        ctypes.c_void_p.from_address(at).value = where
