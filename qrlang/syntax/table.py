"""The parse table, read from grammar/table.json: how states follow each other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import qrlang.grammar
from qrlang.grammar.keywords import KEYWORDS


def names(text: str) -> tuple[str, ...]:
    """Names of terminals, written in one text."""
    return tuple(text.split())


@dataclass(frozen=True, slots=True)
class Rule:
    """What a reduction does: takes `length` symbols off the stack and makes `symbol` of them."""

    symbol: int
    length: int
    name: str  # of the builder; "" passes its one symbol on


@dataclass(frozen=True, slots=True)
class Table:
    """Symbols are numbers: terminals first. An action is state + 1 (go there) or -rule - 1."""

    symbols: tuple[str, ...]
    terminals: int
    rules: tuple[Rule, ...]
    actions: tuple[dict[int, int], ...]  # of each state; several states may share one
    forced: tuple[int | None, ...]  # the action of a state that has no other, whatever follows
    end: int  # the state in which the file is complete
    literals: dict[str, int]
    texts: dict[int, str]  # the other way round
    patterns: dict[str, str]
    number: dict[str, int]  # of a symbol
    soft: frozenset[int]  # words that are names where they are not expected
    reaches: tuple[int, ...]  # the symbol by which each state is reached

    @property
    def eof(self) -> int:
        return self.terminals - 1


@cache
def table() -> Table:
    path = Path(qrlang.grammar.__path__[0], "table.json")
    data = json.loads(path.read_text(encoding="utf-8"))
    terminals: list[str] = data["terminals"]
    symbols = (*terminals, *data["nonterminals"])
    number = {name: i for i, name in enumerate(symbols)}
    rows = [dict(zip(row[::2], row[1::2], strict=True)) for row in data["rows"]]
    actions = tuple(rows[i] for i in data["states"])
    reaches = [0] * len(actions)
    for row in rows:
        for symbol, action in row.items():
            if action > 0:
                reaches[action - 1] = symbol
    literals = {text: number[name] for text, name in data["literals"].items()}
    return Table(
        symbols=symbols,
        terminals=len(terminals),
        rules=tuple(Rule(len(terminals) + lhs, n, name) for lhs, n, name in data["rules"]),
        actions=actions,
        forced=tuple(_forced(rows[i], len(terminals)) for i in data["states"]),
        end=data["end"],
        literals=literals,
        texts={number: text for text, number in literals.items()},
        patterns=data["patterns"],
        number=number,
        soft=frozenset(number[k.terminal] for k in KEYWORDS if not k.reserved),
        reaches=tuple(reaches),
    )


def _forced(row: dict[int, int], terminals: int) -> int | None:
    actions = {action for symbol, action in row.items() if symbol < terminals}
    return actions.pop() if len(actions) == 1 and max(actions) < 0 else None
