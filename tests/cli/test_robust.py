"""A sample of what `tests/fuzz.py` does at length."""

from __future__ import annotations

import fuzz
import pytest

PARTS, EACH = 8, 50


@pytest.mark.parametrize("part", range(PARTS))
def test_mutated_programs(part: int) -> None:
    for command, data in fuzz.programs(EACH, seed=1000 + part):
        assert not fuzz.trouble(command, data), (command, data[:2000])


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\n" * 10, b"\r", b"\\", b'"',
        b"/*", b"///", b"(" * 100_000, b"-" * 100_000, b"model M { " * 10_000, b"a" * 2**20,
        b"const a = " + b"9" * 100_000, b"const a = 2 ** 2 ** 2 ** 2 ** 2 ** 2", b"const a = a",
        b"const a = 1e999999999", b"const a = 1 / 0", b"const a = 1 % 0", b"const a = -(2 ** 10000)",
        b"use std.ansatz.su2_ring\n" * 5_000, b"use .x.y.z", b"use " + b"a." * 50_000 + b"b",
        b"model M(n: int = 10 ** 9) { qubits q[n] }", b"model M { qubits q[-1] }",
        b"model M { qubits q[2]\n for i in 0..10 ** 12 { h q[0] }\n return read [Z(q[0])] }",
        b"const a = [i for i in 0..10 ** 7]", b"const a = sum([i * j for i in 0..9999 for j in 0..9999])",
        b"model M { param w: real[10 ** 6, 10 ** 6]\n return w }",
    ],
    ids=range(31),
)  # fmt: skip
@pytest.mark.parametrize("command", ["check", "fmt", "inspect", "draw", "compile"])
def test_nasty_ones(command: str, data: bytes) -> None:
    from cli_tools import qrlc

    done = qrlc(command, "-", stdin=data)
    assert done.code in (0, 1), done.err
    assert "bug in qrlc" not in done.err
