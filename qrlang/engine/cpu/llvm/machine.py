"""This processor, and turning IR text into code for it through llvmlite."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import functools
import importlib
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from qrlang.engine import cache
from qrlang.engine.cpu.llvm import elf
from qrlang.engine.cpu.llvm.asm import Machine
from qrlang.system import environment
from qrlang.version import VERSION

WIDE = frozenset({"avx512f", "avx512dq", "avx512vl", "avx512bw"})


class NoCompiler(RuntimeError):
    """llvmlite is not there."""


@functools.cache
def llvm() -> Any:
    try:
        binding = importlib.import_module("llvmlite.binding")
    except ImportError as why:
        raise NoCompiler("llvmlite is not installed: pip install 'qrlang[torch]'") from why
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


@functools.cache
def _processor() -> tuple[frozenset[str], str]:
    """What it can do, and a text that tells it from others. Without LLVM where the system says."""
    with contextlib.suppress(OSError, KeyError, ValueError):
        if platform.machine() == "x86_64":
            text = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
            lines = [line.split(":", 1) for line in text.splitlines() if ":" in line]
            fields = {name.strip(): value.strip() for name, value in lines}
            names = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags")
            return frozenset(fields["flags"].split()), "|".join(fields.get(n, "") for n in names)
    features = llvm().get_host_cpu_features()
    return frozenset(k for k, on in features.items() if on), llvm().get_host_cpu_name() + str(
        features.flatten()
    )


@functools.cache
def host(wanted: str = "") -> Machine:
    """The vectors to use: the widest there are, or those named by `wanted` or QRLANG_VECTORS
    (`avx512`, `avx2`, `portable`). `cpu` is empty for this very processor."""
    versions()
    have, _ = _processor()
    wanted = wanted or _named(have)
    triple = "x86_64-unknown-linux-gnu" if elf.possible() else llvm().get_process_triple()
    x86 = triple.startswith("x86_64")
    wide = have >= WIDE
    if wide and wanted in ("", "avx512"):
        return Machine(triple, "", "", 512, True, "avx512", 32)
    if have >= {"avx2", "fma"} and wanted in ("", "avx2"):
        # Asked for on a wider processor: as a narrower one would do it.
        return Machine(triple, "x86-64-v3" if wide else "", "", 256, True, "avx2", 16)
    if x86 and wanted:
        return Machine(triple, "x86-64", "", 128, False, "none", 16)
    return Machine(triple, "", "", 128, "fma" in have or not x86, "none", 16 if x86 else 32)


def _named(have: frozenset[str]) -> str:
    """What QRLANG_VECTORS says, if this processor can."""
    said = environment.word("QRLANG_VECTORS", environment.VECTORS)
    can = {"avx512": have >= WIDE, "avx2": have >= {"avx2", "fma"}}.get(said, True)
    if not can:
        raise environment.WrongEnvironment(
            "QRLANG_VECTORS", "this processor has none", "unset it, and the widest are taken"
        )
    return said


def versions() -> str:
    """Of what makes the code; raises if it is not there."""
    try:
        return f"llvmlite {importlib.metadata.version('llvmlite')}"
    except importlib.metadata.PackageNotFoundError as why:
        raise NoCompiler("llvmlite is not installed: pip install 'qrlang[torch]'") from why


def identity(machine: Machine) -> str:
    """What code for a machine depends on, beyond its text."""
    processor = _processor()[1] if not machine.cpu else machine.cpu
    return f"{machine.triple} {processor} {versions()} {sys.platform}"


def _target(machine: Machine, opt: int) -> Any:
    binding = llvm()
    cpu, features = machine.cpu, machine.features
    if not cpu:
        cpu = binding.get_host_cpu_name()
        features = binding.get_host_cpu_features().flatten()
    own = elf.possible()
    return binding.Target.from_triple(machine.triple).create_target_machine(
        cpu=cpu, features=features, opt=opt,
        reloc="pic" if own else "default", codemodel="small" if own else "jitdefault",
    )  # fmt: skip


def assemble(text: str, machine: Machine, opt: int = 2) -> bytes:
    """IR text -> an object file. In a process of its own where that can be, since LLVM takes more
    memory than most kernels and gives none back; QRLANG_COMPILE=inside keeps to this process."""
    if elf.possible() and "llvmlite.binding" not in sys.modules:
        made = _assembled_elsewhere(text, machine, opt)
        if made is not None:
            return made
    return bytes(_target(machine, opt).emit_object(llvm().parse_assembly(text)))


_CHILD = """
import sys
sys.path[:] = {path!r}
from qrlang.engine.cpu.llvm import machine
text = sys.stdin.buffer.read().decode()
machine.llvm()  # so that it does not ask another one
sys.stdout.buffer.write(machine.assemble(text, machine.Machine{fields!r}, {opt}))
"""


def _assembled_elsewhere(text: str, machine: Machine, opt: int) -> bytes | None:
    if environment.word("QRLANG_COMPILE", environment.COMPILE) or not sys.executable:
        return None
    fields = dataclasses.astuple(machine)
    code = _CHILD.format(path=sys.path, fields=fields, opt=opt)
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            [sys.executable, "-c", code], input=text.encode(), capture_output=True, check=True,
            timeout=600,
        )  # fmt: skip
        if done.stdout.startswith(b"\x7fELF"):
            return done.stdout
    return None


def made(text: str, machine: Machine, constants: bytes) -> tuple[Code, bool]:
    """The code of a text, and whether it was in the cache."""
    name = cache.key(text, identity(machine), VERSION)
    blob = cache.read(name)
    known = blob is not None
    if blob is None:
        blob = assemble(text, machine)
        cache.write(name, blob)
    code = Code(blob, machine)
    code.set_constants(constants)
    return code, known


class Code:
    """An object file in memory, ready to call."""

    def __init__(self, blob: bytes, machine: Machine) -> None:
        self.image: elf.Image | None = None
        if elf.possible():
            with contextlib.suppress(elf.NotLoadable):
                self.image = elf.Image(blob)
                return
        binding = llvm()
        empty = binding.parse_assembly(f'target triple = "{machine.triple}"')
        self.engine = binding.create_mcjit_compiler(empty, _target(machine, 2))
        self.engine.add_object_file(binding.ObjectFileRef.from_data(blob))
        self.engine.finalize_object()

    def address(self, name: str) -> int:
        if self.image is not None:
            return self.image.address(name)
        return int(self.engine.get_function_address(name))

    def function(self, name: str) -> Any:
        words = [ctypes.c_void_p] * 4 + [ctypes.c_int64] * 2
        return ctypes.CFUNCTYPE(None, *words)(self.address(name))

    def set_constants(self, data: bytes) -> None:
        import numpy as np

        self._constants = np.frombuffer(data, np.uint8)  # kept: the code reads it
        at = (
            self.image.address("constants")
            if self.image is not None
            else int(self.engine.get_global_value_address("constants"))
        )
        ctypes.c_void_p.from_address(at).value = self._constants.ctypes.data
