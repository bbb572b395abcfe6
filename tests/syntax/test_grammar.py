"""What is generated from the grammar is up to date, and the grammar is sound."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qrlang.grammar import build, textmate
from qrlang.grammar.keywords import KEYWORDS, RESERVED, TYPES
from qrlang.source import Source
from qrlang.syntax.builders import LISTS, NODES
from qrlang.syntax.parser import parse
from qrlang.syntax.table import table
from qrlang.syntax.tokens import tokens
from qrlang.syntax.words import word

GOOD = sorted((Path(__file__).parent / "good").glob("*.qrl"))


def test_table_is_up_to_date_and_free_of_conflicts() -> None:
    # Building refuses shift/reduce and reduce/reduce conflicts.
    found = build.TABLE.read_text(encoding="utf-8")
    assert found == build.table_text(), "run python -m qrlang.grammar.build"


def test_textmate_is_up_to_date() -> None:
    found = textmate.FILE.read_text(encoding="utf-8")
    assert found == textmate.text(), "run python -m qrlang.grammar.textmate"
    json.loads(found)


def test_every_production_has_a_builder() -> None:
    named = {rule.name for rule in table().rules if rule.name}
    assert named == set(LISTS) & named | set(NODES)
    for rule in table().rules:
        assert rule.name or rule.length == 1


def test_every_terminal_has_a_name_and_words() -> None:
    t = table()
    for kind, symbol in enumerate(t.symbols[: t.terminals]):
        assert not symbol.startswith("__")
        assert word(kind)


def test_common_names_are_free() -> None:
    free = "evolve state layers hidden head z i time data loss target input layer last shots pow"
    assert not RESERVED & set(free.split())
    words = [k.word for k in (*KEYWORDS, *TYPES)]
    assert len(words) == len(set(words))


@pytest.mark.parametrize("keyword", KEYWORDS, ids=lambda k: k.word)
def test_keywords(keyword) -> None:  # type: ignore[no-untyped-def]
    """A reserved word is never a name; any word names an argument; the others name anything."""
    _, reserved = parse(Source("x", f"const {keyword.word} = 1"))
    assert bool(reserved) == keyword.reserved
    assert not parse(Source("x", f"const a = f({keyword.word}: 1)"))[1]
    assert not parse(Source("x", f"use a.{keyword.word}.b"))[1]
    if not keyword.reserved:
        name = keyword.word
        text = f"const a = f({name}, x[{name}], {name}(2), b.{name}) + {name}"
        assert not parse(Source("x", text))[1]


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.stem)
def test_lark_agrees(path: Path) -> None:
    """Lark's own lexer and parser accept the same programs: the grammar file is true."""
    from lark import Lark

    text = "".join(
        line for line in path.read_text(encoding="utf-8").splitlines(True) if "<-1" not in line
    )
    lark = Lark(build.grammar_text(), parser="lalr", lexer="contextual", maybe_placeholders=False)
    lark.parse(text)


def test_tokens() -> None:
    source = Source("x", "/// doc\nconst a = 1.5 // c\n")
    found = [(kind, text) for kind, text, _ in tokens(source)]
    assert found == [
        ("DOC", "/// doc"),
        ("CONST", "const"),
        ("NAME", "a"),
        ("ASSIGN", "="),
        ("REAL", "1.5"),
        ("COMMENT", "// c"),
    ]
