"""Checking stays fast: a long file, and the circuit of a large model."""

from __future__ import annotations

import time
from pathlib import Path

from qrlang.check import check_file
from qrlang.source import Source
from qrlang.syntax.parser import parse


def test_ten_thousand_lines() -> None:
    gates = ["  rx(2 * x[0]) q[0]", "  cx q[0], q[1]", "  ry(x[1] + x[2]) q[1]", "  h q[2]"]
    lines = []
    for m in range(6):
        lines += [f"model M{m}() {{", "  input x: real[4]", "  qubits q[4]"]
        lines += gates * 412
        lines += ["  return read Z(q[0])", "}"]
    text = "\n".join(lines)
    assert text.count("\n") > 9900
    file, _ = parse(Source("long.qrl", text))
    started = time.monotonic()
    checked, found = check_file(file)
    assert len(checked.models) == 6 and not found
    assert time.monotonic() - started < 4  # 0.3 s on an idle machine


def test_fourteen_qubits_four_layers(root: Path) -> None:
    text = (root / "examples/qrnn/rows.qrl").read_text(encoding="utf-8")
    file, _ = parse(Source("rows.qrl", text))
    check_file(file)  # the library is parsed
    started = time.monotonic()
    checked, found = check_file(file, settings={"n": 14, "layers": 4})
    assert checked.models and not found
    assert time.monotonic() - started < 1  # 0.03 s on an idle machine
