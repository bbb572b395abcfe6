"""`qrlc` in this process: what it prints and how it ends."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    def data(self) -> Any:
        import json

        return json.loads(self.out)


class _Bytes(io.TextIOWrapper):
    """A text stream over bytes, as the real ones are."""

    def __init__(self, data: bytes = b"") -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8", newline="")

    def text(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode()  # type: ignore[attr-defined]


@contextmanager
def streams(stdin: bytes) -> Iterator[tuple[_Bytes, _Bytes]]:
    out, err = _Bytes(), _Bytes()
    with (
        mock.patch.object(sys, "stdin", _Bytes(stdin)),
        mock.patch.object(sys, "stdout", out),
        mock.patch.object(sys, "stderr", err),
    ):
        yield out, err


def qrlc(*args: object, stdin: bytes | str = b"") -> Done:
    from qrlang.cli.main import run

    data = stdin.encode() if isinstance(stdin, str) else stdin
    with streams(data) as (out, err):
        code = run([str(a) for a in args])
        return Done(code, out.text(), err.text())
