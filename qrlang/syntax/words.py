"""Terminals of the grammar in human words, for messages."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from qrlang.syntax.table import names, table

_NAMED = {
    "NAME": "a name",
    "INT": "a number",
    "REAL": "a number",
    "STRING": "a text in double quotes",
    "$END": "the end of the file",
}

_OPERATORS = frozenset(names("PLUS MINUS STAR SLASH PERCENT DIV POWER EQ NE LT LE GT GE AND OR"))
_EXPRESSION = frozenset(names("NAME INT REAL STRING LPAREN LSQB MINUS NOT READ MEASURE TRUE FALSE"))
_MODIFIERS = frozenset(names("INV CTRL NEGCTRL POW"))
_STATEMENTS = frozenset(
    names(
        "LET EMIT RETURN APPLY PREPARE RESET MEASURE POSTSELECT IF FOR REQUIRE CONST INPUT TARGET"
        " QUBITS READOUT ANSATZ LAYER CONTROLLER ATTENTION FROZEN PARAM CARRY INIT STEP RECURRENT"
        " NAME"
    )
)
_ITEMS = frozenset(names("USE CONST ANSATZ READOUT HAMILTONIAN CIRCUIT EXTERN MODEL TRAIN GOVERN"))


@cache
def word(kind: int) -> str:
    """One terminal."""
    t = table()
    name = t.symbols[kind]
    if name in _NAMED:
        return _NAMED[name]
    return f"`{t.texts[kind]}`"


def concepts(kinds: Iterable[int]) -> list[str]:
    """What could stand here, as few ideas instead of many terminals."""
    t = table()
    left = {t.symbols[kind] for kind in kinds}
    out: list[str] = []
    keywords = {k for k in left if k.lower() in t.literals}
    if {"IN", "TO", "WITH"} <= left:  # where any word may be a name
        left -= keywords
        if not left & {"INT", "RBRACE"}:
            left.discard("NAME")
            out.append("a name")
        elif "RBRACE" in left and "INT" not in left:
            left.discard("NAME")
            out.append("a setting")
    if {"LET", "APPLY", "RETURN"} <= left:
        goes_on = bool(left & _OPERATORS)
        left -= _STATEMENTS | _MODIFIERS | {"ELSE"}
        if goes_on:
            left -= _OPERATORS | {"LPAREN", "LSQB", "DOT"}
        out.append("a statement")
    if {"MODEL", "CIRCUIT", "USE"} <= left:
        left -= _ITEMS | _OPERATORS | {"LPAREN", "LSQB", "DOT"}
        out.append("`model`, `circuit`, `train` or another item")
    if {"INT", "LPAREN", "NAME"} <= left:
        left -= _EXPRESSION | _MODIFIERS | {"DOTDOT"}
        out.append("an expression")
    if {"SEQ", "NAME"} <= left:
        left -= {"SEQ", "NAME"}
        out.append("a type")
    if left & _OPERATORS:
        left -= _OPERATORS | {"LPAREN", "LSQB", "DOT", "DOTDOT"}
        if not left and not out:
            out.append("an operator")
    if len(left) > 1 or out:
        left -= {"LPAREN", "LSQB", "DOT"} if "DOT" in left else set()
    if {"INPUT", "NAME"} <= left:
        left.discard("INPUT")
    if out or len(left) > 1:
        left.discard("$END")
    out += sorted({word(t.number[name]) for name in left}, key=_order)
    return out


def _order(text: str) -> tuple[bool, bool, str]:
    return text == _NAMED["$END"], not text.startswith("a "), text


def one_of(parts: list[str], most: int = 5) -> str:
    """`a`, `b` or `c`."""
    parts = parts if len(parts) <= most else [*parts[:most], "…"]
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} or {parts[-1]}"


def found(kind: int, text: str) -> str:
    t = table()
    if kind == t.eof:
        return "the end of the file"
    if t.symbols[kind] == "STRING":
        return "a text"
    if len(text) > 30:
        text = text[:30] + "…"
    return f"`{text}`"
