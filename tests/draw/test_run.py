"""Pictures of a run: what is drawn is what happened, and it can be read."""

from __future__ import annotations

import itertools
import json
import math
import re
import shutil
import subprocess
import xml.dom.minidom
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from cli_tools import qrlc
from trace_tools import traced

import qrlang.trace
from qrlang.backends.reference import initial_weights
from qrlang.draw import ink
from qrlang.draw.run import feynman, film, folding, travel
from qrlang.draw.run import vertices as marks
from qrlang.draw.run.moment import Branch, Lines, Moment, Vertex
from qrlang.driver import Compilation
from qrlang.plot.shapes import Dot, Line, Text
from qrlang.trace.lined import Lined
from qrlang.trace.moments import Moments, joints
from qrlang.trace.net import Net
from qrlang.trace.replay import play
from qrlang.trace.taps import tapped


@pytest.fixture(scope="module")
def made(tmp_path_factory: Any) -> Path:
    return traced(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="module")
def moments(made: Path) -> Moments:
    return Moments(made)


@pytest.fixture(scope="module")
def middle(moments: Moments) -> Moment:
    return moments.at(5, sample=1)


def vertices(moment: Moment, kind: str) -> list[Vertex]:
    return [v for lines in moment.lines for v in feynman.vertices(lines.parts) if v.kind == kind]


# --- what is drawn ------------------------------------------------------------------------------


def test_angles_and_slopes_are_those_of_the_step(made: Path, middle: Moment) -> None:
    record = qrlang.trace.open(made).at(5)
    trained = [v for v in vertices(middle, "gate") if v.role == "trained"]
    assert [v.angles[0] for v in trained] == pytest.approx(record.parameters["quantum.theta"])
    assert [v.slope for v in trained] == pytest.approx(record.gradients["quantum.theta"])
    given = [v.angles[0] for v in vertices(middle, "gate") if v.source == "state"]
    before = record.activations["net.2"][1, -2]  # of the moment before the last
    assert given == pytest.approx(before, abs=1e-4)


def test_readouts_activations_and_answer_are_those_of_the_trace(made: Path, middle: Moment) -> None:
    record = qrlang.trace.open(made).at(5)
    [read] = vertices(middle, "read")
    assert read.values == pytest.approx(record.readouts["each_z"][1, -1], abs=1e-4)
    columns = {c.name: c for c in middle.columns}
    for name in ("net", "net.2"):
        assert columns[name].values == pytest.approx(record.activations[name][1, -1], abs=1e-4)
    assert columns["head"].kind == "output"
    said = int(np.argmax(record.get("outputs", "")[1, 0]))
    assert middle.answer.startswith(f"says {said} ")


def test_links_hold_the_weights(made: Path, middle: Moment) -> None:
    weights = qrlang.trace.open(made).at(5).parameters["net.w1"]
    columns = {c.name: c.key for c in middle.columns}
    link = next(k for k in middle.links if (k.source, k.target) ==
                (columns["each_z"], columns["net"]))  # fmt: skip
    for i, j, w in link.weights:
        assert w == pytest.approx(float(weights[j, 2 + i]))  # the input comes first
    assert (columns["net.2"], columns["state, before"]) in middle.carried
    assert middle.steers == ((columns["state, before"], "quantum"),)
    norm = columns_slope(middle, "net")
    record = qrlang.trace.open(made).at(5)
    assert norm == pytest.approx(
        math.hypot(*(np.linalg.norm(record.gradients[k]) for k in ("net.w1", "net.b1"))), rel=1e-5
    )


def columns_slope(moment: Moment, name: str) -> float | None:
    return next(c.slope for c in moment.columns if c.name == name)


def lines_of(text: str, sample: dict[str, Any] | None = None) -> tuple[Lines, ...]:
    made = Compilation.of_bytes("model.qrl", text.encode())
    assert not made.failed, made.diagnostics
    [model] = made.checked.models.values()
    played = play(model.program, sample or {}, initial_weights(model.program, 0))
    return Lined(played, {}).lines()


ENTANGLED = """
use std.readout.each_z
model Pair {
  input x: real[1]
  qubits q[3]
  h q[0]
  cx q[0], q[1]
  cx q[1], q[2]
  cx q[1], q[2]
  cx q[0], q[1]
  rzz(acos(x[0])) q[0], q[1]
  return read each_z(q)
}
"""


def test_entanglers_weigh_what_they_make() -> None:
    """A Bell pair is one bit, a third qubit half a bit more on average, and back again."""
    [lines] = lines_of(ENTANGLED, {"x": np.array([0.5])})
    made = [v.made for v in lines.parts if isinstance(v, Vertex) and v.kind == "entangler"]
    assert made == pytest.approx([1.0, 0.5, -0.5, -1.0, 0.0], abs=1e-9)
    turned = [v for v in lines.parts if isinstance(v, Vertex) and v.angles]
    assert turned[-1].angles == pytest.approx([math.pi / 3])
    assert turned[-1].role == "data"


MEASURED = """
use std.readout.each_z
model Fed {
  input x: real[1]
  qubits q[2]
  ry(acos(x[0])) q[0]
  let b = measure q[0]
  if b { x q[1] }
  return read each_z(q[1])
}
"""


def test_what_hangs_on_a_bit_says_how_often(tmp_path: Path) -> None:
    [lines] = lines_of(MEASURED, {"x": np.array([0.5])})
    measure = next(v for v in lines.parts if isinstance(v, Vertex) and v.kind == "measure")
    assert measure.values == pytest.approx([0.25])
    [branch] = [p for p in lines.parts if isinstance(p, Branch)]
    assert branch.caption == "if b" and branch.chance == pytest.approx(0.25)
    read = next(v for v in lines.parts if isinstance(v, Vertex) and v.kind == "read")
    assert read.values == pytest.approx([0.5])
    sheet = ink.Sheet()
    travel.Travel(sheet, [lines], marks.Scale()).draw(0, 0)
    assert "if b: 25 %" in [s.text for s in sheet.shapes if isinstance(s, Text)]


# --- how it is drawn ----------------------------------------------------------------------------

RING = """
use std.ansatz.su2_ring
use std.readout.each_z
model Ring(n: int, layers: int = 2) {
  input x: seq[real[2]]
  qubits memory[n]
  readout    z     = each_z(memory)
  ansatz     ring  = su2_ring(layers)
  controller steer = mlp(12, tanh)
  layer      head  = linear(3)
  step v in x {
    apply ring(steer(v, read z)) to memory
  }
  return head(read z)
}
"""


def pictured(n: int, layers: int) -> ink.Sheet:
    made = Compilation.of_bytes("ring.qrl", RING.encode(), {"n": n, "layers": layers})
    [model] = made.checked.models.values()
    program = model.program
    weights = initial_weights(program, 0)
    played = play(program, {"x": np.array([[0.3, -0.2], [0.1, 0.4]])}, weights)
    lined = Lined(played, {})
    lines = lined.lines()
    net = Net(played.program, tapped(program).taps, played.values, weights, {}, {})
    moment = Moment("Ring", f"n = {n}", 3, 10, 1, "record 0", "moment 2", 0.5, 0.01, 1.0, "adam",
                    "says 1, true 1", lines, tuple(net.columns.values()), tuple(net.links),
                    (), ())  # fmt: skip
    return feynman.draw(moment, [(0, 1.0), (3, 0.5), (10, 0.1)])


def boxes(sheet: ink.Sheet) -> list[tuple[float, float, float, float, str]]:
    found = []
    for s in sheet.shapes:
        if isinstance(s, Text) and s.text.strip():
            w, (x, y) = 0.58 * s.size * len(s.text), s.at
            left = {"start": x, "middle": x - w / 2, "end": x - w}[s.anchor]
            found.append((left, left + w, y - 0.75 * s.size, y + 0.1 * s.size, s.text))
    return found


@pytest.mark.parametrize("n", [4, 14])
def test_words_stand_clear_of_one_another(n: int) -> None:
    sheet = pictured(n, 2)
    clashes = [
        (a[4], b[4])
        for a, b in itertools.combinations(boxes(sheet), 2)
        if min(a[1], b[1]) - max(a[0], b[0]) > 1.5 and min(a[3], b[3]) - max(a[2], b[2]) > 1.5
    ]
    assert not clashes
    assert all(left > 0 and right < sheet.width + 1 for left, right, *_ in boxes(sheet))
    assert all(y1 > 0 and y2 < sheet.height for _, _, y1, y2, _ in boxes(sheet))


@pytest.mark.parametrize("n", [4, 14])
def test_an_arrow_leads_from_what_the_moment_before_left_to_the_angles_it_makes(n: int) -> None:
    from trace_tools import MODEL

    [model] = Compilation.of_bytes("t.qrl", MODEL.encode(), {"n": n}).checked.models.values()
    weights = initial_weights(model.program, 0)
    played = play(model.program, {"xs": np.array([[0.3, -0.2], [0.1, 0.4]])}, weights)
    lined = Lined(played, {})
    lines = lined.lines()
    net = Net(played.program, tapped(model.program).taps, played.values, weights, {}, {})
    steers, reads = joints(lined, net)
    moment = Moment("Tiny", "", 3, 10, 1, "", "", 0.5, 0.01, None, "sgd", "", lines,
                    tuple(net.columns.values()), tuple(net.links), steers, reads,
                    tuple(dict.fromkeys(net.carried)))  # fmt: skip
    sheet = feynman.draw(moment)
    colour = "@net"
    radius = 9.0 if n < 10 else 7.5
    dials = [s.at for s in sheet.shapes
             if isinstance(s, Dot) and s.colour == colour and s.radius == radius]  # fmt: skip
    assert len(dials) >= n
    x = np.mean([at[0] for at in dials[:n]])
    below = max(at[1] for at in dials[:n])
    ways = [
        s for s in sheet.shapes if isinstance(s, Line) and s.colour == colour and s.width == 1.8
    ]
    [way] = [s for s in ways if abs(s.points[-1][0] - x) < 8 and 0 < s.points[-1][1] - below < 60]
    # It goes past the columns that stand above, and not through them.
    nodes = [s.at for s in sheet.shapes if isinstance(s, Dot) and s.radius in (5.2, 6.2)]
    assert all(math.dist(p, at) > 7 for p in way.points for at in nodes)
    texts = [b for b in boxes(sheet) if b[4].startswith(("x", "state", "each_z"))]
    for left, right, top, bottom, _ in texts:
        assert not any(left < px < right and top < py < bottom for px, py in way.points)


def test_many_layers_are_folded() -> None:
    [start, period, times] = folding.layers(lines_of_ring(9).parts)
    assert (start, period, times) == (1, 3 * 4 + 4, 9)  # after the reading
    said = [s.text for s in pictured(4, 9).shapes if isinstance(s, Text)]
    assert "7 more" in said
    assert "7 more" not in [s.text for s in pictured(4, 6).shapes if isinstance(s, Text)]


def lines_of_ring(layers: int) -> Lines:
    made = Compilation.of_bytes("ring.qrl", RING.encode(), {"n": 4, "layers": layers})
    [model] = made.checked.models.values()
    weights = initial_weights(model.program, 0)
    played = play(model.program, {"x": np.zeros((1, 2))}, weights)
    return Lined(played, {}).lines()[0]


def test_a_long_circuit_goes_on_below() -> None:
    assert travel._panels([10.0] * 10, [True] * 10, 60.0) == [(0, 5), (5, 10)]
    whole = [True] * 4 + [False] * 4 + [True] * 2
    assert travel._panels([10.0] * 10, whole, 60.0) == [(0, 8), (8, 10)]


def test_every_role_has_a_colour_for_light_and_dark() -> None:
    for light, dark in ink.ROLES.values():
        assert re.fullmatch("#[0-9a-f]{6}", light) and re.fullmatch("#[0-9a-f]{6}", dark)
    used = {s.colour[1:] for s in pictured(4, 1).shapes if s.colour.startswith("@")}
    assert used <= set(ink.ROLES)


@pytest.mark.parametrize("dark", [False, True])
def test_words_and_lines_stand_out_from_the_ground(dark: bool) -> None:
    """By the contrast that guidelines for the web ask for: 4.5 for words, 3 for lines."""

    def light(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    ground = light(ink.ROLES["ground"][dark])
    for role in ("ink", "soft", "data", "made", "read", "net", "loop", "fixed", "wire", "against"):
        own = light(ink.ROLES[role][dark])
        contrast = (max(own, ground) + 0.05) / (min(own, ground) + 0.05)
        assert contrast > (3.0 if role in ("wire", "against") else 4.4), (role, contrast)


# --- the command --------------------------------------------------------------------------------


def test_a_step_as_svg_and_png(made: Path) -> None:
    done = qrlc("draw", made, "--step", 5)
    assert done.code == 0, done.err
    svg = made / "step-5.svg"
    assert done.out.split() == [str(svg), str(svg.with_suffix(".png"))]
    page = xml.dom.minidom.parse(str(svg))
    assert "prefers-color-scheme:dark" in svg.read_text()
    assert "Tiny" in page.getElementsByTagName("desc")[0].firstChild.data
    assert svg.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_a_step_that_was_not_recorded_is_the_one_before(tmp_path: Path) -> None:
    one = traced(tmp_path, "--trace-every", 3)
    done = qrlc("draw", one, "--step", 4, "--svg", "-")
    assert done.code == 0
    assert "step 3" in done.err and "at step 3 of" in done.out


def test_a_film_shows_each_step(made: Path, moments: Moments) -> None:
    done = qrlc("draw", made, "--animate", "--frames", 4)
    assert done.code == 0, done.err
    page = (made / "film.html").read_text()
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    data = json.loads(re.search(r'id="film">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    assert len(data["steps"]) == 4 and data["steps"][0] == 0
    said = [[c["text"] for c in frame.values() if "text" in c] for frame in data["frames"]]
    for step, texts in zip(data["steps"], said, strict=True):
        assert f"Tiny at step {step} of {moments.steps[-1]}" in texts


NODE = shutil.which("node")
SCRIPT = r"""
const page = require("fs").readFileSync(process.argv[1], "utf8");
const data = page.match(/id="film">([\s\S]*?)<\/script>/)[1];
const script = page.match(/<script>\n([\s\S]*?)<\/script>/)[1];
const made = {};
const element = id => made[id] || (made[id] = { attributes: {}, listeners: {}, value: "",
  textContent: id === "film" ? data : "",
  setAttribute(name, value) { this.attributes[name] = value; },
  addEventListener(name, what) { this.listeners[name] = what; } });
let tick = null;
global.document = { getElementById: element, addEventListener: () => 0 };
global.setInterval = what => { tick = what; return 1; };
global.clearInterval = () => { tick = null; };
new Function(script)();
const at = element("at"), said = element("said"), seen = [];
at.value = "1"; at.listeners.input(); seen.push(said.textContent);
at.value = String(JSON.parse(data).steps.length - 1);
element("play").listeners.click(); seen.push(said.textContent);
while (tick) { tick(); seen.push(said.textContent); }
const shapes = Object.entries(made).filter(([id]) => /^m\d/.test(id));
console.log(JSON.stringify({ seen, changed: shapes.length, play: element("play").textContent }));
"""


@pytest.mark.skipif(NODE is None, reason="needs node, to run the page's script")
def test_the_film_plays(made: Path, moments: Moments) -> None:
    page = film.film([moments.at(s) for s in (0, 3, 6)], moments.curve)
    (made / "short.html").write_text(page)
    assert NODE is not None
    out = subprocess.run([NODE, "-e", SCRIPT, str(made / "short.html")], capture_output=True,
                         text=True, check=True)  # fmt: skip
    found = json.loads(out.stdout)
    assert found["seen"] == ["step 3", "step 0", "step 3", "step 6", "step 6"]
    assert found["changed"] > 20 and found["play"] == "Play"


def test_a_run_without_a_trace_shows_its_checkpoints(tmp_path: Path) -> None:
    from trace_tools import MODEL
    from training_tools import project

    path = project(tmp_path, MODEL, records=160)
    assert qrlc("train", path, "--out", tmp_path / "run", "--threads", 1).code == 0
    done = qrlc("draw", tmp_path / "run", "--svg", tmp_path / "x.svg")
    assert done.code == 0, done.err
    assert "no trace: weights of a checkpoint" in (tmp_path / "x.svg").read_text()
    done = qrlc("draw", tmp_path / "run", "--step", 1)
    assert done.code == 1 and "no step 1" in done.err and "checkpoints at" in done.err


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--step", 99), 1, "no step 99"),
        (("--sample", 7), 1, "sample 7 is not there"),
        (("--moment", 5), 1, "no moment 5"),
        (("--step", "x"), 2, "--step"),
        (("--animate", "--step", 1), 2, "--animate"),
        (("--fold",), 2, "--fold"),
        (("Tiny",), 2, "its own model"),
        (("--format", "json"), 2, "--format json"),
    ],
)
def test_wrong_ways_to_draw_a_run(made: Path, args: tuple[Any, ...], code: int, said: str) -> None:
    done = qrlc("draw", made, *args)
    assert done.code == code
    assert said in done.err


def test_what_is_no_run(tmp_path: Path) -> None:
    assert "is not a run folder" in qrlc("draw", tmp_path).err
    (tmp_path / "x.qrl").write_text(MEASURED)
    done = qrlc("draw", tmp_path / "x.qrl", "--step", 3)
    assert done.code == 2 and "no run folder" in done.err
    assert qrlc("draw", tmp_path / "nothing", "--step", 3).code == 2


def test_what_comes_after_does_not_go_on_from_a_moment_in_the_middle() -> None:
    made = Compilation.of_bytes("ring.qrl", RING.encode(), {"n": 2, "layers": 1})
    [model] = made.checked.models.values()
    weights = initial_weights(model.program, 0)
    sample = {"x": np.ones((3, 2))}
    for at, groups in ((-1, 1), (2, 1), (0, 2)):
        lines = Lined(play(model.program, sample, weights, at=at), {}).lines()
        assert [one.name for one in lines] == ["step", "after_step"]
        assert len(travel.together(lines)) == groups
    assert "moment 1 of 3" in lines[0].caption
