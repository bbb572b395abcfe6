"""Drawings: everything is there, nothing overlaps, nothing is wider than asked."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import strategies
from hypothesis import given, settings

from qrlang.analysis.circuits import circuits
from qrlang.draw import svg, text
from qrlang.draw.labels import Labels, number
from qrlang.draw.picture import picture
from qrlang.draw.scene import Frame, Item, columns, scene
from qrlang.ir.program import (
    Angle,
    ApplyMatrix,
    Channel,
    Evolve,
    Expect,
    Gate,
    If,
    Measure,
    Output,
    Prepare,
    Program,
    Register,
    Reset,
    Term,
    Unitary,
    Value,
)
from qrlang.ir.types import Type, real

W, B = Value(0, real(4), "w"), Value(1, Type("bit", ()), "b")


def w(i: int, factor: float = 1.0, constant: float = 0.0) -> Angle:
    return Angle(constant, (Term(factor, W, i),))


def everything() -> Program:
    """One of each thing that there is to draw."""
    matrix = Value(3, Type("unitary", size=2), "V")
    amplitudes, z, y = Value(4, real(8), "amps"), Value(2, real(2), "zz"), Value(5, real(1), "y")
    body = (
        Prepare((0, 1, 2), amplitudes),
        Unitary((
            Gate("h", (0,)),
            Gate("rzz", (0, 3), (w(0),)),
            Gate("rx", (1,), (w(1, 2.0, 0.5),)),
            Gate("swap", (1, 4)),
            Gate("y", (2,), controls=(0,), zeros=(4,)),
            Gate("u", (4,), (w(0), w(1), Angle(4.567, (Term(0.123, W, 2), Term(1.5, W, 3))))),
        )),
        Channel("depolarizing", (2,), (Angle(0.01),)),
        ApplyMatrix((1, 3), matrix, controls=(4,)),
        Measure(B, (0,)),
        If(B, 0, (Unitary((Gate("x", (1,)), Gate("rz", (2,), (w(3),)))),), (Reset((3,)),)),
        Expect(z, (((1.0, ((0, "Z"), (1, "Z"))),), ((1.0, ((1, "Z"), (2, "Z"))),))),
        Evolve(((w(0), ((0, "X"),)), (Angle(1.0), ((0, "Z"), (1, "Z")))), Angle(0.3), 4),
        Evolve(((w(0), ((0, "X"),)), (Angle(1.0), ((0, "Z"), (1, "Z")))), Angle(0.3)),
        Expect(y, (((1.0, ((3, "X"),)),),), shots=1000),
    )  # fmt: skip
    return Program("All", inputs=(W, matrix, amplitudes), body=body,
                   registers=(Register("a", 0, 2), Register("anc", 2, 3)),
                   outputs=(Output("", y),))  # fmt: skip


def ring(n: int, layers: int) -> Program:
    theta = Value(0, real(layers, n), "theta")
    elements = []
    for layer in range(layers):
        elements += [
            Gate("ry", (q,), (Angle(0, (Term(1, theta, layer * n + q),)),)) for q in range(n)
        ]
        elements += [Gate("x", ((q + 1) % n,), controls=(q,)) for q in range(n)]
    return Program("Ring", inputs=(theta,), registers=(Register("memory", 0, n),),
                   body=(Unitary(tuple(elements)),))  # fmt: skip


@pytest.mark.parametrize("width", [60, 100, 200])
@pytest.mark.parametrize("plain", [False, True])
def test_text(width: int, plain: bool, golden: object) -> None:
    drawn = text.render(picture(everything()), width, plain)
    assert max(map(len, drawn.splitlines())) <= width + 20  # one wide gate may stand alone
    if plain:
        assert drawn.isascii()
    check = golden  # type: ignore[assignment]
    check(f"everything-{width}{'-ascii' if plain else ''}.txt", drawn)  # type: ignore[operator]


@pytest.mark.parametrize("n", [1, 4, 14])
def test_every_gate_is_there(n: int) -> None:
    drawn = text.render(picture(ring(n, 3)), 10_000)
    assert drawn.count("┤Ry ") == 3 * n
    assert drawn.count("⊕") == (3 * n if n > 1 else 0) + (3 if n == 1 else 0)


def test_folded_layers() -> None:
    drawn = text.render(picture(ring(4, 5), fold=True), 10_000)
    assert "× 5" in drawn
    assert drawn.count("┤Ry ") == 4


def test_nothing_is_folded_that_differs() -> None:
    """A frame times its body is the whole list again."""
    [circuit] = circuits(ring(3, 4))
    flat = scene(circuit, "", Labels()).parts
    folded = scene(circuit, "", Labels(), fold=True).parts
    again = []
    for part in folded:
        if isinstance(part, Frame):
            again += part.body * int(part.caption.split()[-1])
        else:
            again.append(part)
    assert [p.shape for p in flat] == [p.shape for p in again]  # type: ignore[union-attr]


@settings(max_examples=60)
@given(program=strategies.programs(qubits=4, mixed=True))
def test_columns_keep_the_order_and_never_collide(program: Program) -> None:
    for circuit in circuits(program):
        made = scene(circuit, "", Labels())
        for column in columns(made.parts, len(made.wires)):
            spans = sorted(i.rows for i in column.items)
            assert all(a[1] < b[0] for a, b in itertools.pairwise(spans))


@settings(max_examples=60)
@given(program=strategies.programs(qubits=4, mixed=True))
def test_any_program_can_be_drawn(program: Program) -> None:
    for fold in (False, True):
        made = picture(program, fold)
        text.render(made, 80)
        ET.fromstring(svg.render(made))


@pytest.mark.parametrize("program", [everything(), ring(4, 2), ring(14, 4)], ids=["all", "4", "14"])
def test_svg_has_no_overlaps(program: Program) -> None:
    root = ET.fromstring(svg.render(picture(program)))
    space = "{http://www.w3.org/2000/svg}"
    page = (float(root.attrib["width"]), float(root.attrib["height"]))
    solid = [
        tuple(float(r.attrib[k]) for k in ("x", "y", "width", "height"))
        for r in root.iter(f"{space}rect")
        if r.attrib["class"] not in ("frame", "loop")
    ]
    for x, y, wide, high in solid:
        assert x >= 0 and y >= 0 and x + wide <= page[0] and y + high <= page[1]
    for (x1, y1, w1, h1), (x2, y2, w2, h2) in itertools.combinations(solid, 2):
        apart = x1 + w1 <= x2 or x2 + w2 <= x1 or y1 + h1 <= y2 or y2 + h2 <= y1
        assert apart, ((x1, y1, w1, h1), (x2, y2, w2, h2))
    assert not any("NaN" in str(e.attrib) for e in root.iter())


def test_names_are_escaped() -> None:
    program = Program(
        "<&>", registers=(Register("<q>", 0, 1),), body=(Unitary((Gate("h", (0,)),)),)
    )
    assert ET.fromstring(svg.render(picture(program))) is not None


@pytest.mark.parametrize(
    ("x", "written"),
    [(0.0, "0"), (3.141592653589793, "π"), (-1.5707963267948966, "−π/2"), (0.25, "0.25"),
     (2.356194490192345, "3π/4"), (-0.001, "−0.001"), (1e9, "1e+09")],
)  # fmt: skip
def test_numbers(x: float, written: str) -> None:
    assert number(x) == written


def test_long_angles_get_a_name() -> None:
    drawn = text.render(picture(everything()), 200)
    assert re.search(r"a₁ = .*θ₂", drawn)


def test_items_cover_their_rows() -> None:
    [circuit] = circuits(everything())
    for part in scene(circuit, "", Labels()).parts:
        if isinstance(part, Item):
            low, high = part.rows
            assert 0 <= low <= high < 5


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> object:
    """Compares with a file beside this one; QRL_UPDATE=1 writes it."""
    import os

    def check(name: str, got: str) -> None:
        path = Path(__file__).parent / "golden" / name
        if os.environ.get("QRL_UPDATE"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(got, encoding="utf-8")
        assert got == path.read_text(encoding="utf-8")

    return check
