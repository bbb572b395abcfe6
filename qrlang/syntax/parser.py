"""Text to tree: a loop over the parse table. Whatever the text is, there is a tree in the end."""

from __future__ import annotations

from typing import Any

from qrlang.diagnostics.diagnostic import Diagnostic, has_errors
from qrlang.source import Source, Span
from qrlang.syntax import ast
from qrlang.syntax.builders import DROPPED, LISTS, NODES
from qrlang.syntax.lexer import lex
from qrlang.syntax.recovery import Recovery
from qrlang.syntax.table import table

MAX_BYTES = 8 * 2**20
MAX_TOKENS = 500_000
MAX_DEPTH = 150  # later phases walk the tree by recursion, chains of operators in a loop
MAX_ERRORS = 50


def parse(source: Source) -> tuple[ast.File, tuple[Diagnostic, ...]]:
    """The tree of a text, with everything in it that could be understood. Never raises."""
    if len(source.text) > MAX_BYTES:
        return ast.File(source, ()), (too_large(source),)
    parser = _Parser(source)
    if len(parser.tokens.kinds) > MAX_TOKENS:
        limit = Diagnostic(
            "E0117",
            f"this file has more than {MAX_TOKENS:,} words and signs",
            parser.tokens.span(MAX_TOKENS),
            help="split it, and put numbers into a data file",
        )
        return ast.File(source, ()), (limit,)
    return parser.run()


def too_large(source: Source) -> Diagnostic:
    return Diagnostic(
        "E0117",
        f"this file is larger than {MAX_BYTES // 2**20} MiB",
        Span(source, 0, 0),
        help="split it, and put numbers into a data file",
    )


class _Parser:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.tokens = lex(source)
        self.diagnostics = self.tokens.diagnostics
        self.remarks: list[Diagnostic] = []
        self.too_deep = False
        self.lost: set[str] = set()
        # One entry for each symbol on the stack.
        first = table().actions[0][table().number["items"]] - 1
        self.states = [0, first]
        self.values: list[Any] = [None, []]
        self.starts = [0, 0]
        self.ends = [0, 0]
        self.depths = [0, 0]

    def run(self) -> tuple[ast.File, tuple[Diagnostic, ...]]:
        self._loop()
        items = self.values[1]
        comments = self.tokens.comments
        for lines in self.tokens.docs.values():  # those that no item took
            comments += lines
        comments.sort(key=lambda c: c.span.start)
        file = ast.File(self.source, tuple(items), tuple(comments), frozenset(self.lost))
        mended = {self._line(d) for d in self.diagnostics if d.severity == "error"}
        self.diagnostics += [d for d in self.remarks if self._line(d) not in mended]
        self.diagnostics.sort(key=lambda d: (d.span.start, d.code == "E0118"))
        return file, tuple(self._bounded())

    def _line(self, diagnostic: Diagnostic) -> int:
        return self.source.line_column(diagnostic.span.start)[0]

    def _bounded(self) -> list[Diagnostic]:
        if len(self.diagnostics) <= MAX_ERRORS:
            return self.diagnostics
        kept = self.diagnostics[:MAX_ERRORS]
        if has_errors(self.diagnostics):
            kept.append(
                Diagnostic(
                    "E0118",
                    "too many errors: the rest of this file is not looked at",
                    self.diagnostics[MAX_ERRORS].span,
                    help="correct the first ones; later ones often follow from them",
                )
            )
        return kept

    def report(self, diagnostic: Diagnostic) -> None:
        """What a builder finds wrong with a node; taken back where the node was mended."""
        self.remarks.append(diagnostic)

    def doc(self, start: int) -> str:
        lines = self.tokens.docs.pop(start, ())
        return "\n".join(line.text[3:].removeprefix(" ") for line in lines)

    def _loop(self) -> None:
        t = table()
        tokens, actions, rules, soft = self.tokens, t.actions, t.rules, t.soft
        name = t.number["NAME"]
        # What to do for each rule: a list operation, a node builder, or neither.
        lists = [LISTS.get(rule.name) for rule in rules]
        nodes = [NODES.get(rule.name) for rule in rules]
        states, values = self.states, self.values
        starts, ends, depths = self.starts, self.ends, self.depths
        recovery = Recovery(tokens, states, starts, self.diagnostics, self.lost)
        kinds, read_as, firm, invented = (
            tokens.kinds,
            tokens.read_as,
            tokens.firm,
            recovery.invented,
        )
        at = 0
        kind = kinds[0]
        while True:
            row = actions[states[-1]]
            action = row.get(kind)
            if action is None:
                if kind in soft and name in row and tokens.starts[at] not in firm:
                    kind = name
                    continue
                if states[-1] == t.end:
                    return
                # What can't be otherwise is done before the place of a mistake is judged.
                action = t.forced[states[-1]]
            if action is None:
                at, depth = recovery.repair(at, len(self.diagnostics) > MAX_ERRORS)
                if depth < len(states):
                    del states[depth:], values[depth:], starts[depth:], ends[depth:], depths[depth:]
                kind = kinds[at]
                continue
            if action > 0:
                states.append(action - 1)
                start, end = tokens.starts[at], tokens.ends[at]
                value = self.source.text[start:end]
                values.append(read_as.get(start, value) if read_as else value)
                starts.append(start)
                ends.append(end)
                depths.append(0)
                at += 1
                kind = kinds[at]
                continue
            number = -action - 1
            rule = rules[number]
            count = rule.length
            collect = lists[number]
            build = nodes[number]
            if count == 1 and build is None:
                if collect is not None:
                    values[-1] = collect(values[-1:])
                states[-1] = actions[states[-2]][rule.symbol] - 1
                continue
            if count:
                children = values[-count:]
                start, end = starts[-count], ends[-1]
                inner = depths[-count:]
                depth = max(inner)
                del states[-count:], values[-count:]
                del starts[-count:], ends[-count:], depths[-count:]
            else:
                children = []
                start, end = tokens.starts[at], ends[-1]
                depth = 0
            if collect is not None:
                if invented and rule.name == "append" and _lost(children[1], invented):
                    self.lost |= _names(children[1])
                    children[1] = DROPPED
                value = collect(children)
            else:
                assert build is not None
                value = build(self, children, Span(self.source, start, end))
                depth += 1
                if type(value) is ast.Binary and value.continues:
                    depth = max(inner[0], inner[-1] + 1)  # a longer chain is no deeper
                if depth > MAX_DEPTH:
                    value, depth = self._cut(value, depth)
            states.append(actions[states[-1]][rule.symbol] - 1)
            values.append(value)
            starts.append(start)
            ends.append(end)
            depths.append(depth)

    def _cut(self, value: Any, depth: int) -> tuple[Any, int]:
        """Replaces what is nested too deep, at the places where that can be done."""
        shallow: Any
        if isinstance(value, ast.Expr):
            shallow = ast.Int(0, span=value.span)
        elif isinstance(value, ast.TypeExpr):
            shallow = ast.TypeExpr("real", span=value.span)
        elif isinstance(value, ast.Stmt):
            shallow = DROPPED
        else:
            return value, depth
        if not self.too_deep:
            self.too_deep = True
            self.report(
                Diagnostic(
                    "E0115",
                    f"nested more than {MAX_DEPTH} levels deep",
                    value.span,
                    "too deep",
                    "name the parts with `let` or `const`",
                )
            )
        return shallow, 0


def _names(value: Any) -> set[str]:
    """What a statement declares."""
    parts = (value, *getattr(value, "registers", ()))
    return {n for part in parts if isinstance(n := getattr(part, "name", None), str)}


def _lost(value: Any, invented: list[int]) -> bool:
    """Whether a mended statement says something that nobody wrote. Bodies are kept."""
    if not isinstance(value, ast.Node) or isinstance(value, (ast.If, ast.Train, ast.Govern)):
        return False
    if isinstance(getattr(value, "body", None), tuple):
        return False
    return any(value.span.start < offset <= value.span.end for offset in invented)
