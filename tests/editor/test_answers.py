"""What an editor is told of a text, place by place. `§` is the cursor."""

from pathlib import Path

import pytest

from qrlang.editor.actions import actions
from qrlang.editor.calls import argument_at, call_at
from qrlang.editor.completion import complete
from qrlang.editor.document import Document
from qrlang.editor.hints import hints
from qrlang.editor.hover import hover
from qrlang.editor.names import names
from qrlang.editor.outline import Entry, outline

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "examples" / "qrnn" / "rows.qrl"
TEXT = PAGE.read_text(encoding="utf-8")


def at(text: str, whole: str = TEXT) -> tuple[Document, int]:
    """A text with a cursor, after the one that was there before."""
    offset = text.index("§")
    before = Document(str(PAGE), whole)
    return Document(str(PAGE), text.replace("§", ""), before), offset


def changed(old: str, new: str) -> tuple[Document, int]:
    assert TEXT.count(old) == 1
    return at(TEXT.replace(old, new))


def offered(old: str, new: str) -> list[str]:
    return [c.text for c in complete(*changed(old, new))]


def said(old: str, new: str) -> str:
    found = hover(*changed(old, new))
    return found[0] if found is not None else ""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("= su2_ring(", "= su2§_ring(", ["ansatz su2_ring(layers: int = 1, ", r"12 = 3\*n\*layers angles",
                                         "Three rotations on every qubit", "─┤Rz θ₀├──┤Ry θ₁├"]),
        ("apply evolve(steer", "apply evolve(st§eer", ["controller steer = mlp(hidden, relu)",
                                                       "36 -> 64 -> 48, relu"]),
        ("model QRNN(", "model Q§RNN(", ["5,578 classical and 0 quantum parameters at n = 8"]),
        ("memory[n]", "memory[§n]", ["n: int = 8"]),
        ("mlp(hidden", "m§lp(hidden", ["mlp(hidden: width, activation: activation = relu", "b1"]),
        ("  apply", "  ap§ply", ["applies an ansatz"]),
        ("adam(lr", "ad§am(lr", ["adam(lr: 0.005, beta1: 0.9"]),
        ("= mnist_rows", "= mnist§_rows", ["28 rows of 28 pixels"]),
        ("  batch ", "  bat§ch ", ["a whole number from 1 on"]),
        ("  batch ", "  lo§ss = mse\n  batch ", ["`loss`: one of ", "cross_entropy"]),
        ("    apply", "    crx(0.1) memory[0], memory[1]\n    rz§z(0.1) memory[0], memory[1]\n    apply",
         ["rzz(a) q[0], q[1]", "exp(-i a/2 ZZ)"]),
        ("    apply", "    cr§x(0.1) memory[0], memory[1]\n    apply", ["of the last qubit where"]),
    ],
)  # fmt: skip
def test_hover(old: str, new: str, says: list[str]) -> None:
    found = said(old, new)
    assert [s for s in says if s not in found] == [], found


def test_arguments_where_they_are_named() -> None:
    for old, new, says in (
        ("adam(lr: 5e-3)", "adam(l§r: 5e-3)", "lr: 0.005"),
        ("mlp(hidden, relu)", "mlp(hidden, bi§as: false)", "bias: bool = true"),
        ("su2_ring(layers)", "su2_ring(lay§ers: 2)", "layers: int = 1"),
    ):
        found = argument_at(*changed(old, new))
        assert found is not None and says in found[0]
    assert argument_at(*changed("  input  rows", "  input  ro§ws")) is None


def test_nothing_to_say_in_comments_and_texts() -> None:
    assert said("  return", "  // apply§ it\n  return") == ""
    assert not offered("  return", "  // ap§\n  return")


@pytest.mark.parametrize(
    ("old", "new", "has", "lacks"),
    [
        ("use std.readout.each_z", "use §", ["std"], ["apply ", "z"]),
        ("use std.readout.each_z", "use std.§", ["ansatz", "readout"], ["su2_ring"]),
        ("use std.readout.each_z", "use std.readout.{each_x, §}", ["each_z"], ["su2_ring"]),
        ("use std.readout.each_z", "use .§", ["pixels"], ["rows", "std"]),
        ("use std.readout.each_z", "use .pixels.§", [], ["PixelQRNN"]),
        ("\nmodel QRNN", "\n§\nmodel QRNN", ["model ", "ansatz "], ["apply ", "rx"]),
        ("    apply", "    §\n    apply", ["apply ", "rx", "let "], ["batch = ", "model "]),
        (
            "apply evolve",
            "apply §",
            ["evolve", "ry_ring"],
            ["steer", "n", "each_z", "rows", "label"],
        ),
        ("steer(row, read z)", "steer(row, read §)", ["z", "each_x"], ["steer", "su2_ring"]),
        (")) to memory", ")) to §", ["memory"], ["z", "steer"]),
        ("= mlp(hidden, relu)", "= §", ["mlp", "linear"], ["dot", "z", "embedding"]),
        ("mlp(hidden, relu)", "mlp(hidden, §)", ["relu", "n", "gelu"], ["mlp", "evolve("]),
        ("seq[real[28]]", "seq[§]", ["real", "token"], ["n"]),
        ("  epochs", "  §\n  epochs", ["clip = ", "schedule = "], ["batch = ", "apply "]),
        ("cross_entropy", "§", ["mse", "cross_entropy"], ["adam", "z"]),
        ("= mnist_rows", "= §", ["mnist_rows", "copying"], ["adam"]),
        ("adam(lr: 5e-3)", "adam(§)", ["lr: ", "eps: "], ["momentum: "]),
        ("su2_ring(layers)", "su2_ring(§)", ["layers: ", "gate: ", "n"], ["over"]),
        ("su2_ring(layers)", "su2_ring(layers: 2, §)", ["gate: "], ["layers: "]),
        ("    apply", "    carry §\n    apply", [], ["n", "memory", "dot"]),
        ("    apply", "    let w = memory §\n    apply", ["and"], ["n", "to", "read"]),
        ("    apply", "    let w = §\n    apply", ["n", "row", "read"], ["w", "over", "trotter"]),
        ("    apply", "    let w = read z §\n    apply", ["over"], ["z", "to"]),
        ("    apply", "    for §\n    apply", [], ["n"]),
        ("    apply", "    for i §\n    apply", ["in"], ["n", "to"]),
        ("    apply", "    crx(0.1) §\n    apply", ["memory"], ["n", "z", "pi"]),
        ("    apply", "    h memory[0]  cx memory[0], §\n    apply", ["memory"], ["n", "z"]),
        ("    apply", "    ctrl @ §\n    apply", ["rx", "inv"], ["memory", "n"]),
        ("    apply", "    postselect §\n    apply", ["memory"], ["n", "z"]),
        ("    apply", "    let w = measure §\n    apply", ["memory"], ["n", "z"]),
        (" to memory", " §", ["to", "for "], ["n", "memory", "trotter"]),
        ("  step row", "  init §\n  step row", ["steer", "head"], ["memory", "n"]),
        ("  step row", "  frozen §\n  step row", ["layer "], ["n"]),
        ("  step row", "  frozen layer w = §\n  step row", ["mlp"], ["n"]),
        ("  step row", "  param w: real[n] = §\n  step row", ["haar", "n"], ["row", "w"]),
        ("\nmodel QRNN", "\nextern §\nmodel QRNN", ["layer "], ["n"]),
        (
            "\nmodel QRNN",
            "\nansatz f on q: qubit[n] {\n  §\n}\nmodel QRNN",
            ["rx", "apply "],
            ["input ", "emit "],
        ),
        ("\nmodel QRNN", "\nansatz f on q: qubit[n] §\nmodel QRNN", ["with"], ["n", "pi"]),
        ("train QRNN", "train §", ["QRNN"], ["n"]),
    ],
)
def test_what_fits_is_offered(old: str, new: str, has: list[str], lacks: list[str]) -> None:
    found = offered(old, new)
    assert [x for x in has if x not in found] == []
    assert [x for x in lacks if x in found] == []


def test_what_is_installed_is_drawn_in_with_it() -> None:
    (ring,) = (c for c in complete(*changed("apply evolve", "apply §")) if c.text == "ry_ring")
    assert ring.use == "std.ansatz.ry_ring"
    assert "ansatz ry_ring(layers" in ring.detail and "gate" in ring.detail


@pytest.mark.parametrize(
    ("old", "new", "call", "part"),
    [
        ("mlp(hidden, relu)", "mlp(hidden, §)", "mlp(hidden: width, ", "activation"),
        ("mlp(hidden, relu)", "mlp(hidden, bias: §)", "mlp(hidden: width, ", "bias"),
        ("su2_ring(layers)", "su2_ring(layers, §", "su2_ring(layers: int = 1, ", "gate"),
        ("adam(lr: 5e-3)", "adam(lr: 5e-3, §)", "adam(lr: 0.005", "beta1"),
        ("read z)) to", "clamp(read z, §)) to", "clamp(x, lo, hi)", "lo"),
    ],
)
def test_the_call_that_is_being_written(old: str, new: str, call: str, part: str) -> None:
    found = call_at(*changed(old, new))
    assert found is not None and found.text.startswith(call)
    assert found.parts[found.at].startswith(part)


def test_no_call() -> None:
    assert call_at(*changed("  return", "  §return")) is None
    assert call_at(*changed("memory[n]", "memory[§n]")) is None
    assert call_at(*changed("head(read z)", "head(§read z)")) is None


def test_sizes_behind_the_lines() -> None:
    """Also while another line is half written; not those that a line says itself."""

    def shown(document: Document) -> list[str]:
        text = document.source.text
        return [text[:end].rsplit("\n", 1)[-1].split()[1] + " " + x for end, x in hints(document)]

    sizes = ["label: class[10]", "memory[n] qubit[8]", "z real[8]", "steer 36 → 64 → 48, relu",
             "head 8 → 10, gain 16"]  # fmt: skip
    assert shown(Document(str(PAGE), TEXT)) == sizes
    document, _ = changed("    apply", "    apply ((§\n    apply")
    assert document.made.broken and shown(document) == sizes


def test_sizes_of_lines_that_are_alike() -> None:
    """While another line is half written, each keeps its own."""
    model = """model {}(n: int = 4) {{
  input x: real[{}]
  layer head = linear(10)
  return head(x)
}}
"""
    text = model.format("A", 8) + model.format("B", 3)
    right = Document("two.qrl", text)
    broken = Document("two.qrl", text.replace("model B", "const k = (\nmodel B"), right)
    assert broken.made.broken
    for document in (right, broken):
        assert [shown for _, shown in hints(document)] == ["8 → 10", "3 → 10"]


def test_outline() -> None:
    def lines(entries: list[Entry], depth: int = 0) -> list[str]:
        return [
            line
            for e in entries
            for line in [
                "  " * depth + f"{e.word} {e.place.text}",
                *lines(list(e.inside), depth + 1),
            ]
        ]

    assert lines(outline(Document(str(PAGE), TEXT))) == [
        "model QRNN", "  input rows", "  target label", "  qubits memory", "  readout z",
        "  ansatz evolve", "  controller steer", "  layer head", "  step row", "train QRNN",
    ]  # fmt: skip


def test_what_has_no_name_yet() -> None:
    """An editor refuses a whole outline for one entry without a name."""
    text = "model {\n  step x in xs {\n  }\n}\n\ntrain {\n}\n\nansatz a(x: real[2]) on q[n] {\n}\n"
    document = Document("m.qrl", text)
    assert [e.name for e in outline(document)] == ["model", "train", "a"]
    assert {w.symbol.name for w in names(document)} == {"x", "a"}
    assert "" not in [c.text for c in complete(document, text.index("\n}\n\ntrain"))]


@pytest.mark.parametrize(
    ("old", "new", "title", "after"),
    [
        ("mlp(hidden", "mlp(hiden", "Write `hidden` for `hiden`", "mlp(hidden, relu)"),
        ("adam(lr:", "adam(rl:", "Write `lr` for `rl`", "adam(lr: 5e-3)"),
        ("steer(row, read z)", "steer(row, read zz)", "Write `z` for `zz`", "steer(row, read z)"),
        ("relu)\n", "relu);\n", "Remove `;`", "relu)\n"),
        ("use std.readout.each_z\n", "", "Add `use std.readout.each_z`",
         "use std.ansatz.su2_ring\nuse std.readout.each_z\n"),
    ],
)  # fmt: skip
def test_ways_out(old: str, new: str, title: str, after: str) -> None:
    assert TEXT.count(old) == 1
    document = Document(str(PAGE), TEXT.replace(old, new))
    assert document.made.diagnostics
    found = {a.title: a for a in actions(document, 0, len(document.source.text))}
    action = found[title]
    text = document.source.text
    mended = text[: action.span.start] + action.text + text[action.span.end :]
    assert after in mended and mended == TEXT
    assert not Document(str(PAGE), mended).made.diagnostics


def test_a_use_line_at_the_end_of_a_text() -> None:
    """With no line's end behind it."""
    model = (
        "model M(n: int = 4) {\n  qubits q[n]\n  apply two_local(1) to q\n  return read y(q)\n}\n"
    )
    text = model + "use std.readout.{each_z as y,\n  each_x as _x}"
    document = Document("m.qrl", text)
    found = [a for a in actions(document, 0, len(text)) if a.title.startswith("Add")]
    at, line = found[0].span.start, found[0].text
    mended = text[:at] + line + text[at:]
    assert mended == text.replace("\nuse", f"\n{line}use")
    assert "E0201" not in [d.code for d in Document("m.qrl", mended).diagnostics]
