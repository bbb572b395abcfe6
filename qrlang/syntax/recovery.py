"""After a mistake: says what is wrong, and finds the place to go on from."""

from __future__ import annotations

from qrlang.diagnostics.diagnostic import Diagnostic
from qrlang.syntax.lexer import Tokens
from qrlang.syntax.table import table


class Recovery:
    def __init__(self, tokens: Tokens, states: list[int], diagnostics: list[Diagnostic]) -> None:
        self.tokens = tokens
        self.states = states
        self.diagnostics = diagnostics

    def repair(self, at: int) -> tuple[int, int]:
        """The token to go on with, and how much of the stack to keep."""
        t = table()
        self.diagnostics.append(Diagnostic("E0101", "syntax error", self.tokens.span(at)))
        lists = {t.number[x] for x in ("statements", "items", "settings")}
        depth = len(self.states)
        while depth > 1 and t.reaches[self.states[depth - 1]] not in lists:
            depth -= 1
        eof = len(self.tokens.kinds) - 1
        if depth == 1:
            return eof, 1
        if at == eof:
            return eof, 2
        row = t.actions[self.states[depth - 1]]
        at += 1
        while at < eof and self.tokens.kinds[at] not in row:
            at += 1
        return at, depth
