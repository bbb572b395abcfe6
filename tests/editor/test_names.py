"""What names stand for, in every example and every file of the library."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from qrlang.driver import Compilation
from qrlang.editor.completion import complete
from qrlang.editor.document import Document
from qrlang.editor.names import (
    Written,
    name_at,
    names,
    occurrences,
    renamed,
    why_not_renamed,
)
from qrlang.format import format_text
from qrlang.source import Source

ROOT = Path(__file__).resolve().parents[2]
FILES = [*sorted((ROOT / "examples").rglob("*.qrl")), *sorted((ROOT / "stdlib").rglob("*.qrl"))]


def opened(path: Path) -> Document:
    return Document(str(path), path.read_text(encoding="utf-8"))


def own(document: Document) -> Iterator[Written]:
    """Names that are declared in this text, where they are declared."""
    for w in names(document):
        if w.symbol.place == w.span:
            yield w


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_name_can_be_another(path: Path) -> None:
    """All at once: the program is the same, and changed back it is the text that it was."""
    before = opened(path)
    text = before.source.text
    new = {}
    for k, w in enumerate(own(before)):
        if w.symbol.item is None and not w.symbol.name.startswith("_"):
            other = f"other{k}x"
            assert why_not_renamed(before, w.symbol, other) == ""
            for span in occurrences(before, w.symbol):
                assert span.text == w.symbol.name
                new[span.start] = (span.end, other)
    changed = text
    for start in sorted(new, reverse=True):
        end, other = new[start]
        changed = changed[:start] + other + changed[end:]
    after = Compilation.of_bytes(str(path), changed.encode())
    wrong = [d for d in after.diagnostics if d.severity == "error"]
    # The data says what columns are called.
    assert not [d for d in wrong if d.code not in ("E0903", "E0904", "E0905")], wrong[:2]
    assert len(new) > len({other for _, other in new.values()}) > 0 or not new


def test_a_name_of_one_scope_is_not_that_of_another() -> None:
    document = opened(ROOT / "examples" / "translation" / "short.qrl")
    text = document.source.text
    first, second = (m.start() for m in re.finditer(r"memory\[n\]", text))
    one, two = name_at(document, first), name_at(document, second)
    assert one is not None and two is not None
    lines = [
        [document.source.line_column(s.start)[0] for s in occurrences(document, w.symbol)]
        for w in (one, two)
    ]
    assert lines == [[12, 13, 23, 29], [29, 30, 43]]  # `= encoder.memory` is the first one


@pytest.mark.parametrize(
    ("name", "new", "why"),
    [
        ("memory", "store", ""),
        ("memory", "θ", ""),
        ("memory", "step", "`step` cannot be a name"),
        ("memory", "pi", "`pi` is a word of the language"),
        ("memory", "2nd", "`2nd` cannot be a name"),
        ("memory", "steer", "`steer` is the name of something else here"),
        ("su2_ring", "mine", "`su2_ring` is declared in std/ansatz.qrl"),
        ("mlp", "mine", "`mlp` is a word of the language"),
        ("memory", "inv", ""),
        ("evolve", "inv", "`inv` is a word of the language, and would be read as that"),
    ],
)
def test_what_can_be_renamed(name: str, new: str, why: str) -> None:
    document = opened(ROOT / "examples" / "qrnn" / "rows.qrl")
    found = name_at(document, document.source.text.index(f"{name}", 90))
    assert found is not None and found.symbol.name == name
    assert why_not_renamed(document, found.symbol, new) == why


def test_no_name_is_changed_by_halves() -> None:
    """While a line cannot be understood, a name that stands in it is not another elsewhere."""
    path = ROOT / "examples" / "qrnn" / "rows.qrl"
    text = path.read_text(encoding="utf-8")
    for wrong, why in (
        ("    apply ((\n", ""),
        ("    memory memory ((\n", "line 16 is half written"),
    ):
        document = Document(str(path), text.replace("    apply", wrong + "    apply"))
        found = name_at(document, text.index("memory[n]"))
        assert document.made.broken and found is not None
        said = why_not_renamed(document, found.symbol, "store")
        assert said.startswith(why) and bool(said) == bool(why)


@pytest.mark.parametrize("path", FILES[::6], ids=lambda p: p.stem)
def test_what_stood_there_is_offered(path: Path) -> None:
    """Each use of a name is taken out in turn: it is among what may be written there."""
    before = opened(path)
    text = before.source.text
    missing = []
    for w in names(before):
        if w.symbol.place != w.span:
            cut = text[: w.span.start] + text[w.span.end :]
            document = Document(str(path), cut, before)
            offered = {c.text.strip(" :=<-") for c in complete(document, w.span.start)}
            if w.span.text not in offered:
                missing.append(f"{w.span}: {w.span.text}")
    assert not missing


def test_layouts_have_the_same_names() -> None:
    """What a name stands for does not hang on how the lines are laid out."""
    path = ROOT / "examples" / "qlstm" / "qlstm.qrl"
    text = path.read_text(encoding="utf-8")
    squeezed = re.sub(r"[ \t]+", " ", text)
    assert squeezed != text and format_text(Source("x", squeezed))[0] == text
    found = [
        [(w.span.text, w.symbol.word) for w in names(Document(str(path), t))]
        for t in (text, squeezed)
    ]
    assert found[0] == found[1]


def test_what_is_frozen_is_renamed_along() -> None:
    text = """model M(n: int = 2) {
  input  xs:  seq[real[2]]
  target yes: class[2]
  layer head = linear(2)
  recurrent enc over xs {
    qubits q[n]
    layer steer = linear(2)
    step x {
      let a = steer(x)
      ry(a[0]) q[0]
      ry(a[1]) q[1]
      cx q[0], q[1]
    }
  }
  return head(read Z(enc.q[1]))
}

train M {
  freeze = [head, enc.steer.W]
}
"""
    document = Document("m.qrl", text)
    for name, count in (("head", 3), ("steer", 3), ("enc", 3)):
        found = name_at(document, text.index(name))
        assert found is not None and len(occurrences(document, found.symbol)) == count
    frozen = text.replace("freeze = [head, enc.steer.W]", "freeze = head")
    document = Document("m.qrl", frozen)
    at = name_at(document, frozen.index("= head") + 2)
    assert at is not None and at.symbol.place is not None
    assert at.symbol.place.start == frozen.index("head")


def test_what_is_emitted_under_a_name_that_is_declared_inside() -> None:
    """From outside, the name is that of what is emitted."""
    text = """model M(n: int = 2) {
  input  xs: seq[real[2]]
  recurrent enc over xs {
    qubits q[n]
    readout z = Z(q[1])
    step x {
      ry(x[0]) q[0]
      cx q[0], q[1]
      emit z = read z
    }
  }
  recurrent dec over enc.z {
    qubits q[n]
    step x {
      ry(x) q[0]
      cx q[0], q[1]
      emit read Z(q[1])
    }
  }
}
"""
    document = Document("m.qrl", text)
    assert not [d for d in document.diagnostics if d.severity == "error"]
    for at, lines in ((text.index("z ="), [5, 9]), (text.index("z = read"), [9, 12])):
        found = name_at(document, at)
        assert found is not None
        spans = occurrences(document, found.symbol)
        assert [document.source.line_column(s.start)[0] for s in spans] == lines
        changed = Document("m.qrl", renamed(document, found.symbol, "fresh"))
        assert not [d for d in changed.diagnostics if d.severity == "error"]
