"""Loads an object file without LLVM: a kernel from the cache starts in milliseconds, and the
compiler's memory is never touched. Only what our own code needs: x86-64, calls and addresses
relative to the program counter.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import struct
import sys

PC32, PLT32 = 2, 4
RELA, NOBITS = 4, 8
WRITE, ALLOC = 1, 2
THUNK = b"\xff\x25\x00\x00\x00\x00"  # jmp [rip]: the address follows


class NotLoadable(Exception):
    """Something in the file that this loader does not know."""


def possible() -> bool:
    return sys.platform == "linux" and platform.machine() == "x86_64"


class Image:
    def __init__(self, blob: bytes) -> None:
        try:
            self._read(blob)
        except (struct.error, IndexError, ValueError, AttributeError) as why:
            raise NotLoadable(str(why)) from why

    def address(self, name: str) -> int:
        return self.symbols[name]

    def _read(self, blob: bytes) -> None:
        if blob[:6] != b"\x7fELF\x02\x01":
            raise NotLoadable("not a 64-bit ELF file")
        (start,) = struct.unpack_from("<Q", blob, 40)
        size, count = struct.unpack_from("<HH", blob, 58)
        sections = [struct.unpack_from("<IIQQQQIIQQ", blob, start + i * size) for i in range(count)]
        symbol_table = next(s for s in sections if s[1] == 2)
        strings = sections[symbol_table[6]][4]
        symbols = []
        for i in range(symbol_table[5] // 24):
            name, _, _, where, value, _ = struct.unpack_from(
                "<IBBHQQ", blob, symbol_table[4] + 24 * i
            )
            end = blob.index(b"\0", strings + name)
            symbols.append((blob[strings + name : end].decode(), where, value))
        # What is only read comes first, then a page of its own for what is written.
        places: dict[int, int] = {}
        at = 0
        for writable in (False, True):
            for i, s in enumerate(sections):
                if s[2] & ALLOC and bool(s[2] & WRITE) == writable:
                    at = -(-at // max(1, s[8])) * max(1, s[8])
                    places[i] = at
                    at += s[5]
            if not writable:
                missing = [n for n, where, _ in symbols if where == 0 and n]
                at = -(-at // 16) * 16
                thunks = {n: at + 16 * i for i, n in enumerate(missing)}
                at = -(-(at + 16 * len(missing)) // mmap.PAGESIZE) * mmap.PAGESIZE
                fixed = at
        self.map = mmap.mmap(-1, max(at, fixed + 1))
        base = self.base = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        for i, place in places.items():
            s = sections[i]
            if s[1] != NOBITS:
                self.map[place : place + s[5]] = blob[s[4] : s[4] + s[5]]
        for name, place in thunks.items():
            self.map[place : place + 14] = THUNK + struct.pack("<Q", _outside(name))
        where_is = [
            thunks[n] if where == 0 and n else places.get(where, 0) + value
            for n, where, value in symbols
        ]
        for s in sections:
            if s[1] == RELA and s[7] in places:
                for r in range(s[5] // 24):
                    offset, info, addend = struct.unpack_from("<QQq", blob, s[4] + 24 * r)
                    if info & 0xFFFFFFFF not in (PC32, PLT32):
                        raise NotLoadable(f"relocation {info & 0xFFFFFFFF}")
                    spot = places[s[7]] + offset
                    struct.pack_into("<i", self.map, spot, where_is[info >> 32] + addend - spot)
        self.symbols = {n: base + where_is[i] for i, (n, where, _) in enumerate(symbols) if where}
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        if libc.mprotect(base, fixed, 1 | 4):  # read, execute
            raise NotLoadable("the system allows no new code")


def _outside(name: str) -> int:
    for library in (None, "libm.so.6"):
        try:
            return ctypes.cast(getattr(ctypes.CDLL(library), name), ctypes.c_void_p).value or 0
        except (AttributeError, OSError):
            continue
    raise NotLoadable(f"no function {name}")
