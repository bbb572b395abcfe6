"""Writes qrl.tmLanguage.json, the highlighting that most editors and web sites understand.

Run `python -m qrlang.grammar.textmate` after a change of keywords.py; a test holds them together.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from qrlang.grammar.keywords import KEYWORDS, TYPES, Role

FILE = Path(__file__).with_name("qrl.tmLanguage.json")

_NAME = "[A-Za-z_Α-ΡΣ-Ωα-ω][A-Za-z0-9_Α-ΡΣ-Ωα-ω]*"
_SCOPES: dict[Role, str] = {
    "item": "keyword.declaration.item.qrl",
    "declaration": "keyword.declaration.qrl",
    "statement": "keyword.control.qrl",
    "clause": "keyword.other.clause.qrl",
    "operator": "keyword.operator.wordlike.qrl",
    "constant": "constant.language.qrl",
    "modifier": "storage.modifier.qrl",
    "type": "storage.type.qrl",
}


def _words(words: list[str]) -> str:
    """Not behind a dot: `std.readout.each_z`."""
    return rf"(?<!\.)\b(?:{'|'.join(sorted(words))})\b"


def _rule(scope: str, match: str) -> dict[str, Any]:
    return {"name": scope, "match": match}


def grammar() -> dict[str, Any]:
    """The highlighting grammar as data."""
    patterns: list[dict[str, Any]] = [
        _rule("comment.line.documentation.qrl", r"///(?!/).*$"),
        _rule("comment.line.double-slash.qrl", r"//.*$"),
        {"name": "comment.block.qrl", "begin": r"/\*", "end": r"\*/"},
        {
            "name": "string.quoted.double.qrl",
            "begin": '"',
            "end": '"|$',
            "patterns": [
                _rule("constant.character.escape.qrl", r'\\[nt"\\]'),
                _rule("invalid.illegal.escape.qrl", r"\\."),
            ],
        },
        # The name that an item introduces.
        {
            "match": rf"\b(ansatz|readout|hamiltonian|circuit|model|train)\s+({_NAME})",
            "captures": {
                "1": {"name": _SCOPES["item"]},
                "2": {"name": "entity.name.function.qrl"},
            },
        },
        # A word before a colon names an argument or a declared value.
        _rule("variable.parameter.qrl", rf"\b{_NAME}(?=\s*:)"),
    ]
    for role, scope in _SCOPES.items():
        reserved = [k.word for k in KEYWORDS if k.role == role and k.reserved]
        if reserved:
            patterns.append(_rule(scope, _words(reserved)))
        free = [k.word for k in (*KEYWORDS, *TYPES) if k.role == role and not k.reserved]
        if free:
            patterns.append(_rule(scope, _words(free) + _where(role)))
    patterns += [
        _rule("constant.language.qrl", r"\b(?:pi|π)\b"),
        _rule(
            "constant.numeric.qrl",
            r"\b[0-9][0-9_]*(?:\.[0-9][0-9_]*)?(?:[eE][+-]?[0-9]+)?\b",
        ),
        _rule("entity.name.function.qrl", rf"\b{_NAME}(?=\()"),
        _rule("keyword.operator.qrl", r"<-|->|\.\.\.|\.\.|\*\*|[-+*/%@]|[=!<>]=|[=<>]"),
    ]
    return {
        "$schema": (
            "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json"
        ),
        "name": "qrl",
        "scopeName": "source.qrl",
        "fileTypes": ["qrl"],
        "patterns": patterns,
    }


def _where(role: Role) -> str:
    """Words that are free elsewhere are highlighted only where they look like keywords."""
    if role == "declaration":
        return rf"(?=\s+{_NAME})"
    if role == "modifier":
        return r"(?=\s*(?:\([^)]*\)\s*)?@)"
    if role == "type":
        return r"(?=\s*(?:[\[\],)={]|$))"
    return r"(?=\s+[\w(])"


def text() -> str:
    return json.dumps(grammar(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{FILE.name} written\n")
