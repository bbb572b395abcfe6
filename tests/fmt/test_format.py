"""Pairs on disk: `x.in.qrl` is formatted to `x.out.qrl`. `QRL_UPDATE=1` writes the latter."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qrlang.format import format_text
from qrlang.format.formatter import layout
from qrlang.source import Source
from qrlang.syntax.parser import parse

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*.in.qrl"))


def formatted(text: str) -> str:
    out, diagnostics = format_text(Source("x", text))
    assert out is not None, diagnostics
    return out


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.name.removesuffix(".in.qrl"))
def test_pair(path: Path) -> None:
    expected = path.with_name(path.name.replace(".in.", ".out."))
    found = formatted(path.read_text(encoding="utf-8"))
    if os.environ.get("QRL_UPDATE") == "1":
        expected.write_text(found, encoding="utf-8")
    assert found == expected.read_text(encoding="utf-8")
    assert formatted(found) == found
    for line in found.split("\n"):
        assert line == line.rstrip()
        assert len(line) <= 100 or "//" in line


def test_the_flagship_is_in_style() -> None:
    """The first program of the design is what the formatter makes of it."""
    text = (HERE.parent / "syntax" / "good" / "qrnn.qrl").read_text(encoding="utf-8")
    assert formatted(text) == text


def test_syntax_errors_are_refused() -> None:
    out, diagnostics = format_text(Source("x", "const a = = 1\n"))
    assert out is None
    assert [d.code for d in diagnostics] == ["E0101"]


def test_empty() -> None:
    assert formatted("") == ""
    assert formatted("\n\n") == ""
    assert formatted("// only\n") == "// only\n"


def test_line_ends_and_byte_order_mark() -> None:
    assert formatted("\ufeffconst a = 1\r\n// c\r\n/* d\r\n e */\r\n") == (
        "const a = 1\n// c\n/* d\n e */\n"
    )


BRANCHES = """\
step v in x {
  if b { x q[1] } // flip
  // the other outcome
  else if c {
    y q[0]
  } // turn
  else { h q[1] }
  if b { x q[0] } /* one */ else /* two */ { z q[0] } // three
}
"""


def test_comments_stay_in_their_branch() -> None:
    text = "model M {\n" + BRANCHES + "}\n"
    found = formatted(text)
    branches = [part.split("}")[0] for part in found.split(" {\n")]
    assert ["// flip" in p for p in branches].index(True) == 3
    assert "x q[1]   // flip" in found
    assert "// the other outcome" in branches[4] and "y q[0]" in branches[4]
    assert "// turn" in branches[4]
    assert "/* one */" in branches[6] and "x q[0]" in branches[6]
    assert "/* two */" in branches[7] and "z q[0]" in branches[7]


@pytest.mark.parametrize("case", ["constructs", "qlstm", "comments"])
def test_no_comment_leaves_its_block(case: str) -> None:
    """Put before or behind any line, it has as many braces before it as it had."""
    text = (HERE / f"{case}.out.qrl").read_text(encoding="utf-8")
    text = formatted(f"{text}\nmodel Last {{\n{BRANCHES}}}\n")
    ends = [i for i, c in enumerate(text) if c == "\n"]
    for at in sorted({0, *ends, *(i + 1 for i in ends)}):
        new = f"{text[:at]} // QQ\n{text[at:]}"
        out, _ = format_text(Source("x", new))
        assert out is not None, text[at - 30 : at + 30]
        for brace in "{}":
            before = new[: new.index("QQ")].count(brace)
            assert out[: out.index("QQ")].count(brace) == before, text[at - 30 : at + 30]


def test_a_wrong_result_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from qrlang.format import formatter

    source = Source("x", "const a = 1 // c\n")
    for wrong in ("const a = 2 // c\n", "const a = 1\n", "const a = \n", "const  a = 1 // c\n"):
        monkeypatch.setattr(formatter, "layout", lambda file, wrong=wrong: wrong + file.source.name)
        out, diagnostics = format_text(source)
        assert out is None
        assert diagnostics[-1].code == "E0199"

    def broken(file: object) -> str:
        raise RuntimeError("no")

    monkeypatch.setattr(formatter, "layout", broken)
    assert format_text(source)[0] is None


def test_speed_of_nested_lines() -> None:
    """Blocks inside blocks on one line: tried once each."""
    text = "model A {" + "for i in a {" * 60 + "h q" + "}" * 61
    file, diagnostics = parse(Source("x", text))
    assert not diagnostics
    assert layout(file).count("for") == 60
