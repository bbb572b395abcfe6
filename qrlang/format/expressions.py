"""Expressions and types as layouts, with the fewest parentheses."""

from __future__ import annotations

from collections.abc import Sequence

from qrlang.format.comments import Comments, is_line, tidy
from qrlang.format.doc import (
    HARD,
    SOFT,
    SPACE,
    Concat,
    Fill,
    Group,
    IfBroken,
    Indent,
    Layout,
    concat,
    flat,
)
from qrlang.source import Span
from qrlang.syntax import ast

_BINARY = {
    "or": 1,
    "and": 2,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), 4),
    **dict.fromkeys(("+", "-"), 5),
    **dict.fromkeys(("*", "/", "//", "%"), 6),
    "**": 8,
}
_NOT, _SUM, _MINUS, _PREFIX, _POSTFIX, _ATOM = 3, 5, 7, 9, 10, 11
_WRITTEN = {"//": "div"}


class Expressions:
    def __init__(self, comments: Comments) -> None:
        self.comments = comments

    def show(self, expr: ast.Expr, least: int = 0) -> Layout:
        """The layout of an expression, in parentheses if it binds less than `least`."""
        layout = self._show(expr)
        if _strength(expr) < least:
            return Group(concat("(", Indent(concat(SOFT, layout)), SOFT, ")"))
        return layout

    def _show(self, expr: ast.Expr) -> Layout:
        match expr:
            case ast.Name(id):
                return id
            case ast.Int(value):
                return _as_written(expr.span, str(value))
            case ast.Real(_, text):
                return text
            case ast.Bool(value):
                return "true" if value else "false"
            case ast.Str(value):
                return quote(value)
            case ast.Unary("not", operand):
                return concat("not ", self.show(operand, _NOT))
            case ast.Unary(_, operand):
                return concat("-", self.show(operand, _MINUS))
            case ast.Binary():
                return self._binary(expr)
            case ast.Call(func, args) if self._hugs(expr):
                return concat(self.show(func, _POSTFIX), "(", self.show(args[0].value), ")")
            case ast.Call(func, args):
                items = [(self.arg(arg), arg.span) for arg in args]
                around = Span(expr.span.source, func.span.end, expr.span.end)
                return concat(self.show(func, _POSTFIX), self.bracketed("(", items, ")", around))
            case ast.Index(base, items):
                around = Span(expr.span.source, base.span.end, expr.span.end)
                shown = [(self.show(item), item.span) for item in items]
                inside = self.bracketed("[", shown, "]", around, trailing=False)
                return concat(self.show(base, _POSTFIX), inside)
            case ast.Field(base, name):
                # `1.x` would be a broken number.
                least = _ATOM + 1 if isinstance(base, (ast.Int, ast.Real)) else _POSTFIX
                return concat(self.show(base, least), f".{name}")
            case ast.List(items):
                shown = [(self.show(item), item.span) for item in items]
                numbers = all(_is_number(item) for item in items)
                return self.bracketed("[", shown, "]", expr.span, fill=numbers)
            case ast.Comprehension(element, clauses):
                parts: list[tuple[Layout, Span]] = [(self.show(element), element.span)]
                parts.append((self._clauses(clauses), clauses[0].span.to(clauses[-1].span)))
                return self.bracketed("[", parts, "]", expr.span, trailing=False, comma="")
            case ast.Range(lo, hi, by):
                # `..by` would be the start of a stride.
                stop = self.show(hi) if hi is not None else ""
                if (flat(stop) or "").startswith("by"):
                    stop = concat("(", stop, ")")
                return concat(
                    self.show(lo) if lo is not None else "",
                    "..",
                    stop,
                    *((" by ", self.show(by)) if by is not None else ()),
                )
            case ast.Read(target, last):
                over = (" over last ", self.show(last, _POSTFIX)) if last is not None else ()
                return concat("read ", self.show(target, _POSTFIX), *over)
            case ast.Measure(target):
                return concat("measure ", self.show(target, _POSTFIX))
        raise TypeError(type(expr).__name__)

    def _binary(self, expr: ast.Binary, indented: bool = True) -> Layout:
        strength = _BINARY[expr.op]
        if expr.op == "**":
            # `read z ** 2` would be right, and read wrongly.
            least = _POSTFIX if isinstance(expr.left, (ast.Read, ast.Measure)) else _PREFIX
            return concat(self.show(expr.left, least), " ** ", self.show(expr.right, _MINUS))
        if strength == 4:
            left, right = self.show(expr.left, _SUM), self.show(expr.right, _SUM)
            return Group(concat(left, Indent(concat(SPACE, expr.op, " ", right))))
        # A chain breaks at all of its operators or at none; `J * sum([…])` at those brackets.
        space: Layout = " " if strength == 6 and self._hugs(expr.right) else SPACE
        rest: list[Layout] = []
        left_most: ast.Expr = expr
        while isinstance(left_most, ast.Binary) and _BINARY[left_most.op] == strength:
            op = _WRITTEN.get(left_most.op, left_most.op)
            rest[:0] = [space, op, " ", self.show(left_most.right, strength + 1)]
            left_most = left_most.left
        first = self.show(left_most, strength)
        if space == " ":
            return concat(first, *rest)
        chain = Concat(tuple(rest))
        return Group(concat(first, Indent(chain) if indented else chain))

    def _hugs(self, expr: ast.Expr) -> bool:
        """`sum([…])`: the two brackets open and close together."""
        if not isinstance(expr, ast.Call) or len(expr.args) != 1:
            return False
        arg = expr.args[0]
        gaps = ((expr.func.span.end, arg.span.start), (arg.span.end, expr.span.end))
        return (
            arg.name is None
            and isinstance(arg.value, (ast.List, ast.Comprehension))
            and not any(self.comments.any(*gap) for gap in gaps)
        )

    def given(self, sign: str, value: ast.Expr) -> Layout:
        """`= value`; what does not fit behind the sign goes to the next line."""
        if isinstance(value, ast.Binary):
            return concat(sign, Group(Indent(concat(SPACE, self.alone(value)))))
        return concat(sign, " ", self.show(value))

    def alone(self, expr: ast.Expr) -> Layout:
        """An expression that starts a line: the lines of a chain stand below each other."""
        return self._binary(expr, False) if isinstance(expr, ast.Binary) else self.show(expr)

    def _clauses(self, clauses: Sequence[ast.Clause]) -> Layout:
        parts: list[Layout] = []
        for clause in clauses:
            parts += [SPACE, self._clause(clause)] if parts else [self._clause(clause)]
        return Group(Concat(tuple(parts)))

    def _clause(self, clause: ast.Clause) -> Layout:
        condition: tuple[Layout, ...] = ()
        if clause.condition is not None:
            condition = (" if ", self.show(clause.condition))
        return concat(f"for {clause.var} in ", self.show(clause.range), *condition)

    def arg(self, arg: ast.Arg) -> Layout:
        return concat(f"{arg.name}: " if arg.name else "", self.show(arg.value))

    def type(self, type_: ast.TypeExpr) -> Layout:
        if type_.element is not None:
            return concat(f"{type_.name}[", self.type(type_.element), "]")
        if not type_.dims:
            return type_.name
        dims: list[tuple[Layout, Span]] = [
            ("..." if isinstance(dim, ast.Hole) else self.show(dim), dim.span) for dim in type_.dims
        ]
        return concat(type_.name, self.bracketed("[", dims, "]", type_.span, trailing=False))

    def commas(self, exprs: Sequence[ast.Expr]) -> Layout:
        """`a, b, c`, broken after the commas."""
        parts: list[Layout] = []
        for i, expr in enumerate(exprs):
            parts += [concat(",", SPACE), self.show(expr)] if i else [self.show(expr)]
        return Group(Indent(Concat(tuple(parts))))

    def bracketed(
        self,
        opening: str,
        items: Sequence[tuple[Layout, Span]],
        closing: str,
        around: Span,
        *,
        trailing: bool = True,
        comma: str = ",",
        fill: bool = False,
    ) -> Layout:
        """Items in brackets: on one line, or one on each, with the comments between them.

        `around` starts before the opening bracket and ends after the closing one.
        """
        commented = self.comments.any(around.start, around.end)
        if not items and not commented:
            return opening + closing
        if fill and not commented:
            parts = tuple(
                concat(item, comma if i < len(items) - 1 else "")
                for i, (item, _) in enumerate(items)
            )
            body: Layout = concat(SOFT, Fill(parts), IfBroken(comma if trailing else ""))
            return Group(concat(opening, Indent(body), SOFT, closing))
        inside: list[Layout] = []
        at = around.start
        broken = False
        for i, (item, span) in enumerate(items):
            before = self.comments.take(at, span.start)
            within = self.comments.take(span.start, span.end)
            text = around.source.text
            stop = items[i + 1][1].start if i + 1 < len(items) else around.end
            line_end = text.find("\n", span.end, stop)
            after = self.comments.take(span.end, line_end if line_end >= 0 else stop)
            if i:
                inside.append(SPACE)
            for comment in before + within:
                broken |= is_line(comment)
                inside += [tidy(comment), HARD if is_line(comment) else " "]
            inside.append(item)
            while (
                after and not is_line(after[0]) and "," not in text[span.end : after[0].span.start]
            ):
                inside += [" ", tidy(after.pop(0))]
            inside.append(comma if i < len(items) - 1 else IfBroken(comma if trailing else ""))
            for comment in after:
                broken |= is_line(comment)
                inside += ["   " if is_line(comment) else " ", tidy(comment)]
            at = stop if line_end < 0 else line_end
        last = self.comments.take(at, around.end)
        for comment in last:
            broken |= is_line(comment)
            inside += [HARD if broken or is_line(comment) else " ", tidy(comment)]
        first: Layout = HARD if broken else SOFT
        return Group(concat(opening, Indent(concat(first, *inside)), first, closing))


def _strength(expr: ast.Expr) -> int:
    match expr:
        case ast.Binary(op):
            return _BINARY[op]
        case ast.Unary(op):
            return _NOT if op == "not" else _MINUS
        case ast.Read(_, last) if last is not None:
            return 0  # `read z over last 4 * 2` is not for human eyes
        case ast.Read() | ast.Measure():
            return _PREFIX
        case ast.Call() | ast.Index() | ast.Field():
            return _POSTFIX
        case ast.Range():
            return 0
    return _ATOM


def _is_number(expr: ast.Expr) -> bool:
    if isinstance(expr, ast.Unary):
        expr = expr.operand
    return isinstance(expr, (ast.Int, ast.Real))


def _as_written(span: Span, otherwise: str) -> str:
    """A number keeps the user's spelling: `1_000`."""
    text = span.text
    return text if text[:1].isdigit() else otherwise


def quote(value: str) -> str:
    text = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("\n", "\\n").replace("\t", "\\t") + '"'
