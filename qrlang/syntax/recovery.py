"""After a mistake: the smallest edit that lets the parser go on, or else the next statement.

One mistake should give one message, and lose as little of the file as can be. First a repair is
looked for: a sign or word inserted, left out or exchanged, with which the text that follows is
read. Where there is none, the statement is given up, and the parser goes on at the next one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from qrlang.diagnostics.diagnostic import Diagnostic
from qrlang.syntax import slips
from qrlang.syntax.lexer import Tokens
from qrlang.syntax.mistake import GIVE_UP, ONLY_ITEMS, SURE_STATEMENTS, Edit, Mistake
from qrlang.syntax.table import names, table

MAX_REPAIRS = 300  # then the rest of the file is given up
_LOOK_AHEAD = 8  # tokens read in order to judge a repair
_CONVINCING = 3  # so many of them must fit
_QUIET = 3  # an error within so many tokens of the last is a consequence of it

_INSERTED = names("TO ON OVER IN COMMA COLON ASSIGN UPDATE RPAREN RSQB LBRACE AT EQ WITH")
# What is easily written for each other.
_EXCHANGED = (
    names("ASSIGN UPDATE COLON EQ ARROW"),
    names("COMMA COLON"),
    names("IN OVER ON TO WITH AS"),
    names("LPAREN LSQB"),
    names("RPAREN RSQB"),
)
# What stands behind a name, and hardly behind a keyword.
_AFTER_NAMES = names("LSQB RSQB RPAREN COMMA DOT PLUS STAR SLASH UPDATE")
_OPENERS = {"LPAREN": "RPAREN", "LSQB": "RSQB", "LBRACE": "RBRACE"}

# The shortest beginning of each construct with a block: what is put in for a broken one.
_HEADERS = {
    "MODEL": "MODEL NAME",
    "CIRCUIT": "CIRCUIT NAME LPAREN RPAREN",
    "ANSATZ": "ANSATZ NAME ON NAME COLON NAME",
    "TRAIN": "TRAIN NAME",
    "GOVERN": "GOVERN NAME",
    "RECURRENT": "RECURRENT NAME OVER NAME",
    "STEP": "STEP",
    "FOR": "FOR NAME IN NAME",
    "IF": "IF NAME",
}


class Recovery:
    """Works on the parser's own tokens and stack."""

    def __init__(
        self,
        tokens: Tokens,
        states: list[int],
        starts: list[int],
        diagnostics: list[Diagnostic],
        lost: set[str],
    ) -> None:
        self.tokens = tokens
        self.states = states
        self.starts = starts
        self.diagnostics = diagnostics
        self.lost = lost  # names on what is given up
        self.table = table()
        # Offsets where a name was put in: a statement with one of them in it is not kept.
        self.invented: list[int] = []
        self._orphans: list[int] = []
        self._renamed: set[str] = set()
        self._repairs = 0
        self._resumed = -_QUIET
        number = self.table.number
        self._name = number["NAME"]
        self._lists = {number[x] for x in ("statements", "items", "settings")}
        self._inserted = [number[x] for x in _INSERTED]
        self._exchanged = [[number[x] for x in group] for group in _EXCHANGED]
        self._small = [number[x] for x in ("IN", "OVER", "ON", "TO", "WITH")]
        self._closer = {number[a]: number[b] for a, b in _OPENERS.items()}
        self._headers = {
            number[x]: tuple(number[y] for y in header.split()) for x, header in _HEADERS.items()
        }

    # --- what the parser calls ------------------------------------------------------------------

    def repair(self, at: int, give_up: bool = False) -> tuple[int, int]:
        """Reports what is wrong at this token; the token to go on with, and how much of the stack
        to keep. May exchange tokens."""
        self._repairs += 1
        eof = len(self.tokens.kinds) - 1
        depth = self._list_depth(len(self.states))
        if give_up or self._repairs > MAX_REPAIRS:
            return self._close(eof, depth)
        if self._splits(at):
            return at, len(self.states)
        mistake = self._mistake(at, depth)
        edit = self._best(mistake)
        kind = self.tokens.kinds[at]
        quiet = at - self._resumed < _QUIET or self._damaged(at)
        if kind in self._orphans:  # the closer of a bracket that was left out
            self._orphans.remove(kind)
            quiet = True
        if not quiet:
            diagnostic, better = slips.explain(mistake, edit)
            self.diagnostics.append(diagnostic)
            if diagnostic.code == "E0108":
                self._rename(at)
            if better == GIVE_UP:
                edit = None
            elif isinstance(better, Edit):
                edit = better
        if edit is not None:
            self._apply(edit)
            if edit.at + edit.remove <= at:  # what follows has moved
                at += len(edit.insert) - edit.remove
            self._resumed = max(edit.at + len(edit.insert), at)
            return edit.at, edit.depth
        at, depth = self._panic(mistake)
        self._lose(mistake.at if depth == mistake.height else mistake.first, at)
        self._resumed = at - _QUIET + 1
        return at, depth

    def _splits(self, at: int) -> bool:
        """Reads `x <-1` as `x < -1` where only that makes sense. No mistake: nothing is said."""
        tokens, number = self.tokens, self.table.number
        start, end = tokens.starts[at], tokens.ends[at]
        if tokens.text(at) != "<-" or tokens.source.text[end : end + 1].isspace():
            return False
        if not self.shifts(self.states[:], number["LT"]):
            return False
        tokens.kinds[at : at + 1] = [number["LT"], number["MINUS"]]
        tokens.starts[at : at + 1] = [start, start + 1]
        tokens.ends[at : at + 1] = [start + 1, end]
        return True

    # --- trying out -----------------------------------------------------------------------------

    def shifts(self, states: list[int], kind: int, firm: bool = False) -> bool:
        """Whether this stack takes a token; the stack is moved on."""
        t = self.table
        while True:
            row = t.actions[states[-1]]
            action = row.get(kind)
            if action is None:
                if kind in t.soft and self._name in row and not firm:
                    kind = self._name
                    continue
                return kind == t.eof and states[-1] == t.end
            if action > 0:
                states.append(action - 1)
                return True
            rule = t.rules[-action - 1]
            if rule.length:
                del states[-rule.length :]
            states.append(t.actions[states[-1]][rule.symbol] - 1)

    def reach(self, edit: Edit, most: int = _LOOK_AHEAD) -> int:
        """The first token that is not read after an edit, or `most` beyond it."""
        states = self.states[: edit.depth]
        for kind in edit.insert:
            if not self.shifts(states, kind):
                return -1
        at = edit.at + edit.remove
        kinds, starts, firm = self.tokens.kinds, self.tokens.starts, self.tokens.firm
        stop = min(len(kinds), at + most)
        while at < stop and self.shifts(states, kinds[at], starts[at] in firm):
            at += 1
        return at if at < len(kinds) else at + most

    def expected(self) -> set[int]:
        t = self.table
        row = t.actions[self.states[-1]]
        return {k for k in row if k < t.terminals and self.shifts(self.states[:], k)}

    # --- choosing -------------------------------------------------------------------------------

    def _mistake(self, at: int, depth: int) -> Mistake:
        first = at
        if depth < len(self.states):
            first = bisect_left(self.tokens.starts, self.starts[depth], 0, at)
        return Mistake(
            tokens=self.tokens,
            at=at,
            first=first,
            expected=frozenset(self.expected()),
            openers=self._openers(at),
            depth=depth,
            height=len(self.states),
            top_level=self.table.symbols[self.table.reaches[self.states[depth - 1]]] == "items",
            reach=self.reach,
        )

    def _best(self, mistake: Mistake) -> Edit | None:
        best: Edit | None = None
        most = 0.0
        for edit in self._candidates(mistake):
            reached = self.reach(edit)
            score = reached - mistake.at - edit.cost
            if reached - mistake.at - edit.remove >= _CONVINCING and score > most:
                best, most = edit, score
        return best

    def _candidates(self, mistake: Mistake) -> Iterator[Edit]:
        at = mistake.at
        kinds = self.tokens.kinds
        kind = kinds[at]
        height = len(self.states)
        expected = mistake.expected
        new_line = self.tokens.first_on_line(at)
        enclosed = self._between(mistake)
        if len(expected) == 1 or not mistake.starts_statement:
            for other in self._insertable(mistake):
                if other in expected:
                    yield Edit(at, 0, (other,), height, 0.0)
        if enclosed:
            yield Edit(at, 0, tuple(self._closer[kinds[i]] for i in enclosed), height, 0.1)
        if kind == self.table.eof:
            return
        if self._name in expected and not mistake.starts_statement:
            yield Edit(at, 0, (self._name,), height, 1.5 if new_line else 2.5)
            if self.table.texts.get(kind, "").isalpha() and not new_line:
                yield Edit(at, 1, (self._name,), height, 1.0)
        if kind == self._name:
            for other in self._small:
                if other in expected:
                    yield Edit(at, 1, (other,), height, 1.0)
        # A closing bracket that has its partner, and a brace, are meant as they are.
        closes = kind in self._closer.values() and enclosed is not None
        if closes or mistake.symbol(at) == "LBRACE":
            return
        for group in self._exchanged:
            if kind in group:
                for other in group:
                    if other in expected:
                        yield Edit(at, 1, (other,), height, 0.5)
        if not new_line or kind in self._closer.values():
            yield Edit(at, 1, (), height, 2.0)

    def _insertable(self, mistake: Mistake) -> list[int]:
        number = self.table.number
        out = list(self._inserted)
        if mistake.symbol(mistake.at + 1) == "COLON":
            # `on q: qubit[n] theta: angle`: what is no register comes after `with`.
            first = "COMMA" if mistake.text(mistake.at + 2) == "qubit" else "WITH"
            out.insert(0, number[first])
            out.append(number["LPAREN"])
        return out

    def _between(self, mistake: Mistake) -> list[int] | None:
        """The brackets that are to be closed before this token, the innermost first. None if
        nothing that is open ends here."""
        openers = list(reversed(mistake.openers))
        kind = self.tokens.kinds[mistake.at]
        if kind == self.table.eof or mistake.ends_body:
            return openers
        brace = self.table.number["LBRACE"]
        out: list[int] = []
        for i in openers:
            if self._closer[self.tokens.kinds[i]] == kind:
                return out
            if self.tokens.kinds[i] == brace:
                break
            out.append(i)
        return out if out and kind not in self._closer.values() else None

    # --- doing ----------------------------------------------------------------------------------

    def _apply(self, edit: Edit, invented: bool = True) -> None:
        tokens = self.tokens
        stop = edit.at + edit.remove
        before = tokens.ends[edit.at - 1] if edit.at else 0
        starts = [before] * len(edit.insert)
        ends = [before] * len(edit.insert)
        # An exchanged token keeps its place in the text.
        for i in range(min(edit.remove, len(edit.insert))):
            starts[i], ends[i] = tokens.starts[edit.at + i], tokens.ends[edit.at + i]
            if text := self.table.texts.get(edit.insert[i]):
                tokens.read_as[starts[i]] = text
        for kind in tokens.kinds[edit.at : stop]:
            if kind in self._closer and kind not in edit.insert:
                self._orphans.append(self._closer[kind])
        if invented and self._name in edit.insert[edit.remove :]:
            self.invented.append(before)
        elif edit.remove > len(edit.insert) and self._name in edit.insert:
            self.invented.append(starts[0])  # a name for more than a name
        if edit.remove > 1:
            self._lose(edit.at, stop)
        tokens.kinds[edit.at : stop] = edit.insert
        tokens.starts[edit.at : stop] = starts
        tokens.ends[edit.at : stop] = ends

    def _panic(self, mistake: Mistake) -> tuple[int, int]:
        """Gives the statement up: goes on at the next one, or in the block that it was to have."""
        tokens = self.tokens
        number = self.table.number
        # A statement that is complete as it stands is kept.
        depth = mistake.height if mistake.starts_statement else mistake.depth
        eof = len(tokens.kinds) - 1
        at, first = mistake.at, mistake.first
        header = self._headers.get(tokens.kinds[first]) if first < at else None
        # What is open in the statement itself.
        inside = [i for i in mistake.openers if i >= first]
        rounds = sum(tokens.kinds[i] != number["LBRACE"] for i in inside)
        braces = 0
        column = self._column(first)
        if at < eof and tokens.kinds[at] not in self._closer and not self._starts(depth, at):
            at += tokens.kinds[at] not in self._closer.values()
        while at < eof:
            kind = tokens.kinds[at]
            if kind == number["LBRACE"]:
                if header is not None and not braces:
                    edit = Edit(at, 0, header, mistake.depth)
                    if self.reach(edit, 1) > at:
                        self._apply(edit, invented=False)
                        self._name_header(at, first)
                        return at, mistake.depth
                braces += 1
            elif kind == number["RBRACE"]:
                if not braces and not mistake.top_level:
                    return at, depth
                braces = max(braces - 1, 0)
                header = None
            elif not braces:
                if self._starts(depth, at) and self._goes_on(mistake, at, rounds, column):
                    return at, depth
                rounds += self._nesting(kind)
            at += 1
        return self._close(eof, depth)

    def _nesting(self, kind: int) -> int:
        if kind in self._closer:
            return 1
        return -1 if kind in self._closer.values() else 0

    def _goes_on(self, mistake: Mistake, at: int, rounds: int, column: int) -> bool:
        """Whether a statement starts at this token, as far as one can tell."""
        if not self._starts(mistake.depth, at):
            return False
        symbol = self.table.symbols[self.tokens.kinds[at]]
        new_line = self.tokens.first_on_line(at)
        if mistake.top_level:
            return symbol in ONLY_ITEMS or (new_line and self._column(at) <= self._column(0))
        if symbol in SURE_STATEMENTS:
            return True
        return new_line and (rounds <= 0 or self._column(at) <= column)

    def _starts(self, depth: int, at: int) -> bool:
        firm = self.tokens.starts[at] in self.tokens.firm
        return self.shifts(self.states[:depth], self.tokens.kinds[at], firm)

    def _lose(self, start: int, stop: int) -> None:
        for i in range(start, stop):
            if self.tokens.kinds[i] == self._name:
                self.lost.add(self.tokens.text(i))

    def _rename(self, at: int) -> None:
        """A keyword that was taken for a name: told once, and a name wherever it can't be else."""
        tokens, word = self.tokens, self.tokens.text(at)
        if word in self._renamed:
            return
        self._renamed.add(word)
        follows = {self.table.number[x] for x in _AFTER_NAMES}
        for i in range(at + 1, len(tokens.kinds) - 1):
            if tokens.kinds[i + 1] in follows and tokens.text(i) == word:
                tokens.kinds[i] = self._name

    def _name_header(self, at: int, first: int) -> None:
        """The invented header takes over the name that was written, if there was one."""
        tokens = self.tokens
        tokens.starts[at], tokens.ends[at] = tokens.starts[first], tokens.ends[first]
        name = first + 1
        written = name < at and tokens.kinds[name] == self._name
        if written and tokens.kinds[at + 1 : at + 2] == [self._name]:
            tokens.starts[at + 1], tokens.ends[at + 1] = tokens.starts[name], tokens.ends[name]

    def _close(self, eof: int, depth: int) -> tuple[int, int]:
        """The end of the file: everything that is open ends here."""
        if self.table.symbols[self.table.reaches[self.states[depth - 1]]] != "items":
            self._apply(Edit(eof, 0, (self.table.number["RBRACE"],), depth))
        return eof, depth

    # --- places ---------------------------------------------------------------------------------

    def _list_depth(self, depth: int) -> int:
        """The height of the stack up to the innermost list of statements, items or settings."""
        while self.table.reaches[self.states[depth - 1]] not in self._lists:
            depth -= 1
        return depth

    def _openers(self, at: int) -> tuple[int, ...]:
        """The brackets before a token that nothing closes."""
        out: list[int] = []
        kinds = self.tokens.kinds
        closes = {b: a for a, b in self._closer.items()}
        for i in range(at):
            kind = kinds[i]
            if kind in self._closer:
                out.append(i)
            elif kind in closes:
                while out and kinds[out[-1]] != closes[kind]:
                    out.pop()
                if out:
                    out.pop()
        return tuple(out)

    def _column(self, at: int) -> int:
        start = self.tokens.starts[at]
        return start - self.tokens.source.text.rfind("\n", 0, start)

    def _damaged(self, at: int) -> bool:
        """Whether the lexer has reported something right here."""
        starts = self.tokens.starts
        return any(starts[i] in self.tokens.damaged for i in range(max(at - 1, 0), at + 1))
