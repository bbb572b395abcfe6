"""Files: found, opened, written whole or not at all."""

from __future__ import annotations

import gzip
import os
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from qrlang.errors import DataError
from qrlang.rights.gate import Rights
from qrlang.system.files import replace
from qrlang.training.data.ports import Array

_CHUNK = 1 << 20


def cache_dir() -> Path:
    """Where fetched data is kept for this user."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "qrlang" / "data"


def places(data_dir: Path | None) -> list[tuple[str, Path]]:
    """Where data is looked for, in order, with the reason for each."""
    found = []
    if data_dir is not None:
        if not data_dir.is_dir():
            raise DataError(
                "missing-file",
                f"the data folder {data_dir} is not there",
                "name a folder that holds the data files, or leave it out",
            )
        found.append(("the given folder", data_dir))
    named = os.environ.get("QRLANG_DATA")
    if named:
        found.append(("QRLANG_DATA", Path(named)))
    return [*found, ("the cache", cache_dir())]


def opened(path: Path) -> IO[str]:
    """A table as text, unpacked if it is packed."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """The whole file or none of it, whatever happens meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as f:
            write(f)
            f.flush()
            os.fsync(f.fileno())
        os.chmod(name, 0o644)
        replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class Archive:
    """A .npz file. Arrays that lie in it uncompressed are mapped, not read."""

    def __init__(self, path: Path, rights: Rights | None = None) -> None:
        self.path = path
        self.rights = rights
        try:
            with zipfile.ZipFile(path) as z:
                self.members = {
                    i.filename.removesuffix(".npy"): i
                    for i in z.infolist()
                    if i.filename.endswith(".npy")
                }
            if rights is not None:
                rights.columns_of(self.members)
                for name in [n for n in self.members if rights.closed(n)]:
                    del self.members[name]
        except (zipfile.BadZipFile, OSError, EOFError) as e:
            raise self._broken(str(e)) from e

    def _broken(self, why: str) -> DataError:
        help = "it may have been cut short on its way: remove it and fetch it again"
        if "allow_pickle" in why:
            help = "save numbers or texts: arrays of Python objects are never unpacked"
        elif self.path.suffix == ".npy":
            help = "a single array can't hold input and target: np.savez('x.npz', x=…, y=…)"
        return DataError(
            "malformed-file", f"{self.path} can't be read as a NumPy file: {why}", help
        )

    def __contains__(self, name: str) -> bool:
        return name in self.members

    def notes(self) -> list[str]:
        """What should be known of what is in it."""
        made = "generated" in self
        return [f"{self.path.name} is a generated sample, not the real data"] if made else []

    def need(self, *names: str) -> None:
        missing = [n for n in names if n not in self.members]
        if missing and self.rights is not None and self.rights.closed(missing[0]):
            raise self.rights.refuse(missing[0])
        if missing:
            raise DataError(
                "malformed-file",
                f"{self.path} has no array {', '.join(f'`{n}`' for n in missing)}; it has "
                + (", ".join(f"`{n}`" for n in self.members) or "none"),
                "it is some other file, or an older one",
            )

    def array(self, name: str, kinds: str = "", ndim: int | None = None) -> Array:
        """An array, mapped where that can be done. `kinds`: the dtype kinds that are right."""
        self.need(name)
        try:
            found = self._mapped(name)
            if found is None:
                with zipfile.ZipFile(self.path) as z, z.open(self.members[name]) as f:
                    found = np.lib.format.read_array(f, allow_pickle=False)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as e:
            raise self._broken(f"`{name}`: {e}") from e
        if (kinds and found.dtype.kind not in kinds) or (ndim is not None and found.ndim != ndim):
            raise DataError(
                "malformed-file",
                f"`{name}` of {self.path} is {found.dtype}[{', '.join(map(str, found.shape))}]; "
                f"expected {_kinds(kinds)}{'' if ndim is None else f' in {ndim} axes'}",
                "it is some other file, or an older one",
            )
        return found

    def _mapped(self, name: str) -> Array | None:
        info = self.members[name]
        if info.compress_type != zipfile.ZIP_STORED:
            return None
        with self.path.open("rb") as f:
            f.seek(info.header_offset + 26)  # lengths of the name and of the extra field
            sizes = f.read(4)
            skip = int.from_bytes(sizes[:2], "little") + int.from_bytes(sizes[2:], "little")
            f.seek(info.header_offset + 30 + skip)
            shape, fortran, dtype = _header(f)
            if dtype.hasobject or not np.prod(shape):
                return None
            order: Any = "F" if fortran else "C"
            return np.memmap(self.path, dtype, "r", f.tell(), shape, order).view(np.ndarray)

    def text(self, name: str) -> str:
        return self._decoded(self.array(name, "u", 1).tobytes(), name)

    def _decoded(self, data: bytes, name: str) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as e:
            raise self._broken(f"`{name}` is not UTF-8 text ({e.reason} at {e.start})") from e

    def lines(self, name: str) -> Iterator[str]:
        """The items of a text, one a line, read a piece at a time."""
        self.need(name)
        rest = b""
        try:
            with zipfile.ZipFile(self.path) as z, z.open(self.members[name]) as f:
                _header(f)
                while chunk := f.read(_CHUNK):
                    *whole, rest = (rest + chunk).split(b"\n")
                    for line in whole:
                        yield self._decoded(line, name)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as e:
            raise self._broken(f"`{name}`: {e}") from e
        yield self._decoded(rest, name)


def _header(f: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(f)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(f)
    return np.lib.format.read_array_header_2_0(f)


def _kinds(kinds: str) -> str:
    names = {"u": "whole numbers", "i": "whole numbers", "f": "numbers", "b": "bits", "U": "texts"}
    return " or ".join(dict.fromkeys(names.get(k, k) for k in kinds)) or "an array"
