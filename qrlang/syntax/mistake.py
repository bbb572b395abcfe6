"""A token that does not fit, what is known around it, the edits that mend it, and what is made of
that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from qrlang.diagnostics.diagnostic import Diagnostic
from qrlang.source import Span
from qrlang.syntax.lexer import Tokens
from qrlang.syntax.table import names, table
from qrlang.syntax.words import found

ONLY_ITEMS = frozenset(names("USE MODEL CIRCUIT TRAIN GOVERN HAMILTONIAN EXTERN"))
# Words that start a statement and stand nowhere else.
SURE_STATEMENTS = frozenset(
    names(
        "LET EMIT RETURN APPLY PREPARE RESET POSTSELECT REQUIRE CONST QUBITS READOUT ANSATZ"
        " CONTROLLER FROZEN CARRY RECURRENT STEP"
    )
)
OPENING = {"LPAREN": "`(`", "LSQB": "`[`", "LBRACE": "`{`"}
CLOSING = {"RPAREN": "LPAREN", "RSQB": "LSQB", "RBRACE": "LBRACE"}
COMPARING = frozenset(names("EQ NE LT LE GT GE"))
SMALL_WORDS = frozenset(names("TO ON OVER IN"))


@dataclass(frozen=True, slots=True)
class Edit:
    """At token `at`, `remove` tokens make place for `insert`; the stack is cut to `depth`."""

    at: int
    remove: int
    insert: tuple[int, ...]
    depth: int
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Mistake:
    """A token that does not fit, and what is known around it."""

    tokens: Tokens
    at: int
    first: int  # the first token of the statement that is under way; `at` if there is none
    expected: frozenset[int]
    openers: tuple[int, ...]  # brackets before `at` that nothing closes
    depth: int  # of the stack, up to the list that the statement belongs to
    height: int  # of the stack
    top_level: bool  # the list is that of the items
    reach: Callable[[Edit], int]

    def symbol(self, at: int) -> str:
        """The terminal at a place; "" outside the file."""
        kinds = self.tokens.kinds
        return table().symbols[kinds[at]] if 0 <= at < len(kinds) else ""

    def text(self, at: int) -> str:
        return self.tokens.text(at) if 0 <= at < len(self.tokens.kinds) else ""

    def expects(self, *symbols: str) -> bool:
        number = table().number
        return all(number[symbol] in self.expected for symbol in symbols)

    @property
    def found(self) -> str:
        return found(self.tokens.kinds[self.at], self.text(self.at))

    @property
    def starts_statement(self) -> bool:
        """Whether a new statement, or none, could stand here."""
        return self.expects("LET", "RBRACE") or self.expects("MODEL", "$END")

    @property
    def ends_body(self) -> bool:
        """A token that only stands at the top of a file, where an item would start."""
        if self.symbol(self.at) not in ONLY_ITEMS or not self.tokens.first_on_line(self.at):
            return False
        return not self.openers or column(self.tokens, self.at) <= indent(
            self.tokens, self.openers[0]
        )

    @property
    def span(self) -> Span:
        """Where to point: where something is missing, right behind what comes before."""
        tokens, at = self.tokens, self.at
        if not at or (self.starts_statement and self.symbol(at) != "$END"):
            return tokens.span(at)
        if tokens.first_on_line(at) or self.symbol(at) == "$END":
            return Span(tokens.source, tokens.ends[at - 1], tokens.ends[at - 1])
        return tokens.span(at)

    @property
    def gap(self) -> Span:
        """Right behind the token before: where something can be put in."""
        end = self.tokens.ends[self.at - 1] if self.at else 0
        return Span(self.tokens.source, end, end)


# The statement can't be mended: go on at the next one.
GIVE_UP: Final = "give up"
Explained = tuple[Diagnostic, Edit | Literal["give up"] | None]
Slip = Callable[[Mistake, Edit | None], Explained | None]


def column(tokens: Tokens, at: int) -> int:
    start = tokens.starts[at]
    return start - tokens.source.text.rfind("\n", 0, start)


def indent(tokens: Tokens, at: int) -> int:
    """The column of the first sign on a token's line."""
    text = tokens.source.text
    line = text.rfind("\n", 0, tokens.starts[at]) + 1
    end = line
    while end < len(text) and text[end] in " \t":
        end += 1
    return end - line + 1
