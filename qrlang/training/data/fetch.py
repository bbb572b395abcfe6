"""Fetching a named file as users do: over the network, checked, kept whole in the cache."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qrlang.errors import DataError
from qrlang.system import environment
from qrlang.training.data.files import cache_dir, write_atomically

if TYPE_CHECKING:
    from qrlang.training.data.origins import Origin

Progress = Callable[[str, int, int], None]
"""Called with what is fetched, the bytes that are there, and how many will be (0: unknown)."""

_UNREADABLE = (
    ValueError, KeyError, IndexError, OSError, EOFError, zlib.error, zipfile.BadZipFile,
    tarfile.TarError,
)  # fmt: skip
_CHUNK = 1 << 16
_PATIENCE = 30.0  # seconds without a byte


def fetched(name: str, file: str, looked: str, progress: Progress | None, allowed: bool) -> Path:
    """The file, in the cache from now on; or why not. `looked`: where it was not found."""
    from qrlang.training.data.origins import origin_of

    origin = origin_of(file)
    missing = f"`{name}` needs the file {file}; {looked}"
    here = "put the file into one of these folders, or name another with QRLANG_DATA"
    if origin is None:
        raise DataError("missing-file", missing, f"it can't be fetched: {here}")
    first = origin.parts[0].url
    elsewhere = f"where there is a network, the same command makes it in {cache_dir()} of {first}"
    if not allowed or environment.flag("QRLANG_OFFLINE"):
        why = "QRLANG_OFFLINE is set" if allowed else "fetching is turned off"
        raise DataError("missing-file", f"{missing}; {why}", f"{here}; {elsewhere}")
    try:
        return _kept(origin, cache_dir() / file, missing, f"{here}; {elsewhere}", progress)
    except OSError as e:
        raise DataError(
            "missing-file",
            f"{missing}; it would be fetched into {cache_dir()}, which can't be written: "
            f"{e.strerror or e}",
            here,
        ) from None


def _kept(origin: Origin, target: Path, missing: str, help: str, progress: Progress | None) -> Path:
    """What was fetched, checked and put together, as the file `target`."""
    first = origin.parts[0].url
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as folder:
        parts = {}
        for k, part in enumerate(origin.parts):
            path = Path(folder) / str(k)
            try:
                _download(part.url, path, part.name, progress)
            except (urllib.error.URLError, HTTPException, TimeoutError, OSError) as e:
                reason = getattr(e, "reason", e)
                if isinstance(e, urllib.error.HTTPError):
                    e.close()  # it is the server's answer as well
                raise DataError(
                    "no-network",
                    f"{missing}. Fetching {part.url} failed: {reason}",
                    f"without a network: {help}",
                ) from e
            if part.md5 and _md5(path) != part.md5:
                raise DataError(
                    "wrong-checksum",
                    f"{part.url} gave other bytes than expected (md5 {_md5(path)}, "
                    f"expected {part.md5})",
                    "nothing was kept; try again, and if it stays so the source has changed",
                )
            parts[part.name] = path
        if origin.convert is None:
            data = next(iter(parts.values())).read_bytes()
            write_atomically(target, lambda f: f.write(data))
            return target
        try:
            arrays = origin.convert(parts)
        except _UNREADABLE as e:
            raise DataError(
                "malformed-file",
                f"what {first} gave can't be read: {e}",
                "nothing was kept; the source may have changed",
            ) from e
    for array, digest in origin.digests.items():
        if digest_of(arrays[array]) != digest:
            raise DataError(
                "wrong-checksum",
                f"`{array}`, made of what {first} gave, is not what it should be",
                "nothing was kept; the source may have changed",
            )
    # Uncompressed, so that it is mapped and not read.
    write_atomically(target, lambda f: np.savez(f, allow_pickle=False, **arrays))
    return target


def digest_of(array: np.typing.NDArray[np.generic]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:32]


def _download(url: str, path: Path, name: str, progress: Progress | None) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "qrlang"})
    with urllib.request.urlopen(request, timeout=_PATIENCE) as answer, path.open("wb") as f:
        total = int(answer.headers.get("Content-Length") or 0)
        done = 0
        while chunk := answer.read(_CHUNK):
            f.write(chunk)
            done += len(chunk)
            if progress is not None:
                progress(name, done, total)
        if total and done != total:
            raise urllib.error.URLError(f"the connection ended after {done} of {total} bytes")


def _md5(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
