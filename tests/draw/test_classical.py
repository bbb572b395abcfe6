"""The classical side of a drawing: what its names mean, and where its lines go."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from qrlang.check.model import CheckedModel
from qrlang.draw import svg, text
from qrlang.draw.picture import Picture, picture
from qrlang.driver import Compilation
from qrlang.names import moved_registers

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "examples").rglob("*.qrl"))
TRANSLATION = """
use std.ansatz.su2_ring
use std.readout.each_z
model ED(n: int = 2) {
  input source: seq[token[5]]
  target words: seq[token[4]]
  recurrent enc over source {
    qubits m[n]
    layer embed = embedding(3)
    controller steer = mlp(4)
    step w {
      apply su2_ring(steer(embed(w), read each_z(m))) to m
      emit keys = read each_z(m)
    }
  }
  recurrent dec over shifted(words) {
    qubits inner[n] = enc.m
    attention look = scaled
    layer embed = embedding(3)
    controller steer = mlp(4)
    layer head = linear(4)
    step w {
      let r = read each_z(inner)
      apply su2_ring(steer(embed(w), r, look(r, over: enc.keys))) to inner
      emit head(read each_z(inner))
    }
  }
}
"""


def drawn(source: str | bytes, name: str = "x") -> tuple[CheckedModel, Picture]:
    made = Compilation.of_bytes(name, source.encode() if isinstance(source, str) else source)
    [model] = made.models()
    return model, picture(model.program, moved=moved_registers(model.declaration))


def page(source: str) -> str:
    return text.render(drawn(source)[1])


def test_a_name_in_two_recurrences_is_two_things() -> None:
    found = page(TRANSLATION)
    blocks = found.split("╔")
    [embed] = [b for b in blocks if " enc.embed " in b and "table" in b]
    assert "enc.w ──▶" in embed
    [embed] = [b for b in blocks if " dec.embed " in b and "table" in b]
    assert "dec.w ──▶" in embed
    [steer] = [b for b in blocks if "║ dec.steer" in b]
    assert "dec.each_z ──▶" in steer and "enc.each_z ──▶" not in steer


def test_wires_have_the_names_of_their_recurrence() -> None:
    _, enc, dec = page(TRANSLATION).split("╭─ ")
    assert "enc.m[0]  ▶" in enc and "dec.inner[0]  ▶" in dec and "enc.m[" not in dec


def test_what_a_recurrence_goes_over() -> None:
    assert "once for every w in shifted(words)" in page(TRANSLATION)
    assert "in reversed(rows)" in page((ROOT / "examples/deep/bidirectional.qrl").read_text())


def test_emitted_sequences_have_their_recurrence() -> None:
    over = TRANSLATION.replace("over shifted(words)", "over shifted(words), reversed(enc.keys)")
    over = over.replace("step w {\n      let r", "step w, k {\n      let r")
    assert "once for every w, k in shifted(words), reversed(enc.keys)" in page(over)


MIXED = """
model M {
  input x: seq[real[1]]
  target y: seq[real[2]]
  qubits q[3]
  param w: angle[3]
  layer head = linear(2)
  step v in x {
    for i in 0..2 { ry(v[0] + w[i]) q[i] }
    for i in 1..3 { rx(w[i]) q[i] }
    emit head(read [Z(q[0]), X(q[2]), Z(q[0]) * Z(q[1])], read [0.5 * X(q[1]) - Y(q[2]), Z(q[1])])
  }
}
"""


def test_unnamed_readouts_say_what_they_are() -> None:
    found = page(MIXED)
    assert "║ read = Z0, X2, Z0·Z1" in found
    assert "║ read2 = 0.5X1−Y2, Z1" in found
    assert re.search(r"^ +read ──▶ ║", found, re.MULTILINE)
    assert "%" not in found and "values" not in found


def test_a_parameter_has_one_letter() -> None:
    _, made = drawn(MIXED)
    [scene] = made.scenes
    assert [v.name for v in scene.labels.values.values()] == ["v", "w"]
    _, made = drawn((ROOT / "examples/qcnn/qcnn.qrl").read_bytes())
    names = [v.name or str(k) for k, v in made.scenes[0].labels.values.items()]
    assert len(names) == len(set(names))


def test_a_step_of_layers_alone_has_a_frame() -> None:
    found = page((ROOT / "examples/qlstm/qlstm.qrl").read_text())
    step = found.split("╭─ step: once for every ")[1]
    assert "of the step before ──▶" in step
    assert "into the next step ─╯" in step


def test_names_of_readouts_stay_in_the_frame() -> None:
    root = ET.fromstring(svg.render(drawn(MIXED)[1]))
    space = "{http://www.w3.org/2000/svg}"
    [frame] = [r for r in root.iter(f"{space}rect") if r.attrib["class"] == "loop"]
    for label in root.iter(f"{space}text"):
        if (label.text or "").startswith("read = "):
            end = float(label.attrib["x"]) + 7.2 * len(label.text or "")
            assert end <= float(frame.attrib["x"]) + float(frame.attrib["width"])


@pytest.mark.parametrize("path", EXAMPLES)
def test_no_line_hides_behind_a_box(path: str) -> None:
    """Straight pieces of lines lie beside all boxes, and each piece between two columns."""
    _, made = drawn((ROOT / path).read_bytes(), str(ROOT / path))
    root = ET.fromstring(svg.render(made))
    space = "{http://www.w3.org/2000/svg}"
    boxes = [
        [float(r.attrib[k]) for k in ("x", "y", "width", "height")]
        for r in root.iter(f"{space}rect")
        if r.attrib["class"] in ("layer", "value", "gate", "read")
    ]
    for path_ in root.iter(f"{space}path"):
        if path_.attrib.get("class") != "flow":
            continue
        at = (0.0, 0.0)
        for kind, rest in re.findall(r"([MCL])([^MCL]*)", path_.attrib["d"]):
            points = [tuple(map(float, p.split(","))) for p in rest.split()]
            x1, x2 = at[0], points[-1][0]
            if kind == "L" or (kind == "C" and x2 > x1):
                low, high = sorted((at[1], points[-1][1]))
                for x, y, w, h in boxes:
                    beside = x + w <= x1 + 2 or x >= x2 - 2
                    assert beside or y + h <= low or y >= high, (path, rest)
            at = (points[-1][0], points[-1][1])
