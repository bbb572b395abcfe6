"""CUDA text compiled with g++ and run on the CPU: see tests/cuda/emulator/README.md."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent / "cuda" / "emulator"
COMPILER = os.environ.get("CXX", "g++")
FLAGS = ["-std=c++20", "-O1", "-fPIC", "-shared", "-ffp-contract=fast", "-fvisibility=hidden",
         "-w", "-I", str(HERE)]  # fmt: skip

_EXTERN = re.compile(
    r"extern\s+__shared__\s+(?:__align__\s*\(\s*\d+\s*\)\s*)?([\w\s:]+?)\s+(\w+)\s*\[\s*\]\s*;"
)
_STATIC = re.compile(
    r"__shared__\s+(?:__align__\s*\(\s*(\d+)\s*\)\s*)?([\w\s:]+?)\s+(\w+)\s*((?:\[[^\]]*\])*)\s*;"
)
_KERNEL = re.compile(
    r"__global__\s+(?:__\w+__\s*\([^)]*\)\s*)*void(?:\s+__\w+__\s*\([^)]*\))*\s+(\w+)\s*\("
)


class EmulatorError(Exception):
    """The text does not compile, or a kernel did what no GPU would put up with."""


def available() -> bool:
    return shutil.which(COMPILER) is not None


def rewritten(text: str) -> str:
    """What macros can't say: where shared memory lies."""
    text = _EXTERN.sub(r"\1* const \2 = static_cast<\1*>(emu::dynamic_shared());", text)
    sites = iter(range(1 << 30))

    def static(found: re.Match[str]) -> str:
        alignment, kind, name, shape = found.groups()
        site = next(sites)
        where = f"emu::static_shared({site}, sizeof(emu_t{site}), {alignment or 16})"
        return (
            f"using emu_t{site} = {kind}{shape}; "
            f"emu_t{site}& {name} = *static_cast<emu_t{site}*>({where});"
        )

    return _STATIC.sub(static, text)


def _entry(name: str) -> str:
    return f"""
extern "C" __attribute__((visibility("default"), no_sanitize("thread")))
int emu_launch_{name}(void** given, const emu::Launch* how) {{
  return emu::launch([](void* g) {{ emu::call(&{name}, static_cast<void**>(g)); }}, given, *how);
}}
extern "C" __attribute__((visibility("default")))
int emu_sizes_{name}(int* out) {{ return emu::sizes(&{name}, out); }}
"""


class _How(ctypes.Structure):
    _fields_ = [
        ("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3), ("cluster", ctypes.c_uint),
        ("shared", ctypes.c_size_t), ("order", ctypes.c_int), ("races", ctypes.c_int),
        ("banks", ctypes.c_int),
    ]  # fmt: skip


class _Served(ctypes.Structure):
    _fields_ = [
        ("pc", ctypes.c_uint64), ("write", ctypes.c_int), ("far", ctypes.c_int),
        ("warps", ctypes.c_uint64), ("turns", ctypes.c_uint64), ("least", ctypes.c_uint64),
    ]  # fmt: skip


@dataclass(frozen=True)
class Served:
    """Accesses to shared memory from one line: of how many warps, in how many turns of 32 banks,
    and how few those could be. `far`: another block's memory, by lines of 128 bytes."""

    line: int
    write: bool
    far: bool
    warps: int
    turns: int
    least: int


class Module:
    """A compiled text; kernels by their names. `races`: every access is watched, at a price.
    `banks`: it is counted what accesses to shared memory cost."""

    def __init__(self, text: str, races: bool = False, banks: bool = False) -> None:
        self.names = _KERNEL.findall(text)
        body = rewritten(text) + "".join(_entry(n) for n in self.names)
        self.races, self.banks = races, banks
        # What is read at once on a GPU, as an amplitude is, is read at once here too.
        whole = ["-fno-tree-sra"] if banks else []
        self.path = _built(body, ["-fsanitize=thread", "-g1", *whole] if races or banks else [])
        self.library = ctypes.CDLL(str(self.path))
        self.library.emu_error.restype = ctypes.c_char_p

    def sizes(self, name: str) -> list[int]:
        """Bytes of each parameter of a kernel."""
        out = (ctypes.c_int * 256)()
        return list(out[: getattr(self.library, f"emu_sizes_{name}")(out)])

    def launch(
        self, name: str, grid: Sequence[int], block: Sequence[int], given: Sequence[object],
        shared: int = 0, cluster: int = 1, order: int = 0,
    ) -> None:  # fmt: skip
        """`given`: ctypes numbers, as the driver would get them."""
        if name not in self.names:
            raise EmulatorError(f"no kernel `{name}` in the text")
        want = self.sizes(name)
        got = [ctypes.sizeof(x) for x in given]  # type: ignore[arg-type]
        if want != got:
            raise EmulatorError(f"`{name}` takes parameters of {want} bytes, and is given {got}")
        pointers = (ctypes.c_void_p * max(1, len(given)))(*(ctypes.addressof(x) for x in given))  # type: ignore[arg-type]
        how = _How(
            (*grid, *(1,) * (3 - len(grid))), (*block, *(1,) * (3 - len(block))), cluster, shared,
            order, self.races, self.banks,
        )  # fmt: skip
        if getattr(self.library, f"emu_launch_{name}")(pointers, ctypes.byref(how)):
            raise EmulatorError(f"`{name}`: {self._located(self.library.emu_error().decode())}")

    def served(self) -> list[Served]:
        """Of the last launch."""
        room = self.library.emu_served(None, 0)
        out = (_Served * room)()
        self.library.emu_served(out, room)
        places = "\n".join(hex(x.pc - 1) for x in out)
        command = ["addr2line", "-s", "-e", str(self.path)]
        said = subprocess.run(command, input=places, capture_output=True, text=True, check=True)
        lines = [int(x.split(":")[1].split()[0]) for x in said.stdout.splitlines()]
        return [
            Served(line, bool(x.write), bool(x.far), x.warps, x.turns, x.least)
            for line, x in zip(lines, out, strict=True)
        ]

    def _located(self, said: str) -> str:
        """With the line of the text in place of an address."""
        found = re.search(r" <(0x[0-9a-f]+)>", said)
        tool = shutil.which("addr2line")
        if found is None or tool is None:
            return said
        command = [tool, "-s", "-e", str(self.path), hex(int(found[1], 16) - 1)]
        line = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        return said.replace(found[0], f" ({line})")


def _folder() -> Path:
    named = os.environ.get("QRLANG_EMULATOR_CACHE")
    folder = (
        Path(named) if named else Path(tempfile.gettempdir()) / f"qrlang-emulator-{os.getuid()}"
    )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise EmulatorError(f"{folder} is another user's: name one with QRLANG_EMULATOR_CACHE")
    return folder


def _built(body: str, watch: Sequence[str]) -> Path:
    """The library of a text: made once, kept by what it is made of."""
    parts = [
        body,
        *watch,
        *FLAGS,
        *((HERE / f).read_text() for f in ("emulator.h", "emulator.cpp")),
    ]
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    out = _folder() / f"{name}.so"
    if out.exists():
        return out
    core = _core()
    with tempfile.TemporaryDirectory(dir=_folder()) as folder:
        source, obj, made = (Path(folder) / n for n in ("kernel.cpp", "kernel.o", "kernel.so"))
        source.write_text(f'#include "emulator.h"\n#line 1 "kernel.cu"\n{body}')
        _run([COMPILER, *FLAGS, *watch, "-c", "-o", str(obj), str(source)])
        _run([COMPILER, *FLAGS, "-o", str(made), str(obj), str(core)])
        os.replace(made, out)
    return out


def _core() -> Path:
    text = "".join((HERE / f).read_text() for f in ("emulator.h", "emulator.cpp"))
    out = _folder() / f"core-{hashlib.sha256(text.encode()).hexdigest()[:24]}.o"
    if not out.exists():
        made = out.with_suffix(f".{os.getpid()}")
        _run([COMPILER, *FLAGS, "-O2", "-c", "-o", str(made), str(HERE / "emulator.cpp")])
        os.replace(made, out)
    return out


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [x for x in done.stderr.splitlines() if "error" in x or "note" in x]
        raise EmulatorError("\n".join(errors[:20]) or done.stderr[-2000:])
