"""Turns qrl.lark and keywords.py into table.json, the parser's table. The only user of lark.

Run `python -m qrlang.grammar.build` after a change of either; a test holds the table against them.
Nobody who only runs the compiler needs lark, or waits for it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from qrlang.grammar.keywords import KEYWORDS, RESERVED

FOLDER = Path(__file__).parent
TABLE = FOLDER / "table.json"

# In a train block the value before may go on with one of these, so they name no setting.
_NO_SETTING = ("and", "or", "over", "div")
# In lark's own lexer a keyword is a name wherever it is not expected; this forbids it.
_NOT_RESERVED = f"(?!(?:{'|'.join(sorted(RESERVED))})(?![A-Za-z0-9_Α-ΡΣ-Ωα-ω]))"


def grammar_text() -> str:
    """The grammar with the keyword table filled in."""
    words = [k.word for k in KEYWORDS]
    # Where a name may stand as well (an argument's value), only reserved words: the others are
    # read as names by themselves, and `f(last(x))` must not take `last` for an argument's name.
    reserved = [k.word for k in KEYWORDS if k.reserved]
    blanks = {
        "@KEYWORDS@": "\n".join(f'{k.terminal}: "{k.word}"' for k in KEYWORDS),
        "@NOT_RESERVED@": _NOT_RESERVED,
        "@WORD@": _alternatives(reserved),
        "@SETTING@": _alternatives([w for w in words if w not in _NO_SETTING]),
    }
    text = (FOLDER / "qrl.lark").read_text(encoding="utf-8")
    for blank, filling in blanks.items():
        text = text.replace(f": {blank}" if blank in ("@WORD@", "@SETTING@") else blank, filling)
    return text


def _alternatives(words: list[str]) -> str:
    return ": NAME -> same\n" + "\n".join(f'    | "{word}" -> same' for word in words)


def build() -> dict[str, Any]:
    """The table as plain data: see `qrlang/syntax/table.py`, which reads it."""
    from lark import Lark
    from lark.common import ParserConf
    from lark.parsers.lalr_analysis import LALR_Analyzer, Shift

    lark = Lark(grammar_text(), parser="lalr", lexer="contextual", maybe_placeholders=False)
    # Lark settles shift/reduce conflicts in silence; `strict` refuses them.
    analyzer: Any = LALR_Analyzer(ParserConf(lark.rules, {}, ["start"]), strict=True)
    analyzer.compute_lalr()
    states: dict[Any, dict[str, tuple[Any, Any]]] = analyzer.parse_table.states

    terminals = [*sorted({t.name for t in lark.terminals} - set(lark.ignore_tokens)), "$END"]
    nonterminals = sorted({rule.origin.name for rule in lark.rules})
    symbols = {name: i for i, name in enumerate(terminals + nonterminals)}
    rules = sorted(lark.rules, key=lambda r: (r.origin.name, r.order))
    number = {rule: i for i, rule in enumerate(rules)}
    # Any walk in a fixed order will do, so that the file does not change from run to run.
    start = analyzer.parse_table.start_states["start"]
    order = [start]
    seen = {start}
    for state in order:
        for _, (action, arg) in sorted(states[state].items()):
            if action is Shift and arg not in seen:
                seen.add(arg)
                order.append(arg)
    index = {state: i for i, state in enumerate(order)}
    rows = [
        [
            n
            for symbol, (action, arg) in sorted(states[state].items())
            for n in (symbols[symbol], index[arg] + 1 if action is Shift else -number[arg] - 1)
        ]
        for state in order
    ]
    # Many states differ in nothing but where they stand in the grammar.
    distinct = sorted({tuple(row) for row in rows})
    where = {row: i for i, row in enumerate(distinct)}
    return {
        "terminals": terminals,
        "nonterminals": nonterminals,
        "literals": {
            t.pattern.value: t.name
            for t in sorted(lark.terminals, key=lambda t: t.name)
            if t.pattern.type == "str"
        },
        "patterns": {
            t.name: t.pattern.value.removeprefix(_NOT_RESERVED)
            for t in sorted(lark.terminals, key=lambda t: t.name)
            if t.pattern.type == "re"
        },
        # What a rule makes (its number among the nonterminals), of how many symbols, and how;
        # no name: the one symbol is passed on.
        "rules": [
            [nonterminals.index(r.origin.name), len(r.expansion), r.alias or ""] for r in rules
        ],
        # A row: symbol, action, symbol, action … An action: state + 1, or -rule - 1.
        "rows": distinct,
        "states": [where[tuple(row)] for row in rows],
        "end": index[analyzer.parse_table.end_states["start"]],
    }


def table_text() -> str:
    parts = [
        f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'), ensure_ascii=False)}"
        for key, value in build().items()
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    TABLE.write_text(table_text(), encoding="utf-8")
    sys.stdout.write(f"{TABLE.name} written\n")
