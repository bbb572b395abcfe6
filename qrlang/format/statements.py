"""Statements and items as rows and lines, with the comments and blank lines around them."""

from __future__ import annotations

from collections.abc import Sequence

from qrlang.format.comments import Comments, is_line, moved, tidy
from qrlang.format.doc import SPACE, Concat, Group, Indent, Layout, concat, flat, render
from qrlang.format.expressions import Expressions, quote
from qrlang.format.rows import WIDTH, Blank, Entry, Lines, Remark, Row, spread, to_lines
from qrlang.source import Source, Span
from qrlang.syntax import ast

_Node = ast.Stmt | ast.Item | ast.Setting
# Statements that may share a line, if they were written on one.
_SHORT = (ast.Gate, ast.Reset, ast.Discard)
_Settings = ast.Train | ast.Govern
_Block = (
    ast.Model | ast.Circuit | ast.Ansatz | ast.Recurrent | ast.Step | ast.For | ast.If | _Settings
)


class Printer:
    def __init__(self, source: Source, comments: tuple[ast.Comment, ...]) -> None:
        self.text = source.text
        self.comments = Comments(comments)
        self._ansaetze: dict[int, tuple[Layout, list[Layout]]] = {}
        self._flat: dict[int, str | None] = {}  # of statements, by identity
        self.expressions = Expressions(self.comments)
        self.show = self.expressions.show
        self.type = self.expressions.type
        self.given = self.expressions.given

    def file(self, items: Sequence[_Node]) -> str:
        start = 1 if self.text.startswith("\ufeff") else 0
        entries = spread(self.body(items, start, len(self.text) + 1, 0))
        lines = to_lines(entries, 0)
        return "\n".join(lines) + "\n" if lines else ""

    # --- bodies ---------------------------------------------------------------------------------

    def body(self, nodes: Sequence[_Node], start: int, end: int, indent: int) -> list[Entry]:
        """Everything between two offsets: statements, comments, blank lines."""
        out: list[Entry] = []
        at = start
        last_line = -1  # where the statement before began, if another may join it
        for node in nodes:
            at = self._before(out, at, node.span.start)
            joined = last_line >= 0 and isinstance(out[-1], Row) and not out[-1].comment
            *above, here = self._statement(node, indent)
            # Comments that stand inside, where no line of their own can be.
            above += [_moved(c) for c in self.comments.take(node.span.start, node.span.end)]
            line = self._line(node.span.start) if isinstance(node, _SHORT) else -1
            before = out[-1] if out else None
            if (
                joined
                and line == last_line
                and not above
                and isinstance(before, Row)
                and isinstance(here, Row)
                and indent + len(before.text) + 2 + len(here.text) <= WIDTH
            ):
                before.cells = [f"{before.text}  {here.text}"]
            else:
                out += [*above, *_docs(node), here]
            last_line = line if isinstance(here, Row) and not above else -1
            at = node.span.end
        self._before(out, at, end, last=True)
        return out

    def _before(self, out: list[Entry], at: int, stop: int, last: bool = False) -> int:
        """Comments and at most one blank line before the next statement, or before the end."""
        for comment in self.comments.take(at, stop):
            trails = "\n" not in self.text[at : comment.span.start]
            before = out[-1] if out else None
            if trails and isinstance(before, (Row, Lines)):
                before.comment = f"{before.comment} {tidy(comment)}".strip()
            else:
                if self._blank(at) and out:
                    out.append(Blank())
                out.append(_remark(comment) if comment.own_line else _moved(comment))
            at = comment.span.end
        if not last and out and self._blank(at):
            out.append(Blank())
        return at

    def _blank(self, at: int) -> bool:
        """Whether an empty line comes right after this offset."""
        end = at
        while end < len(self.text) and self.text[end] in " \t\r\n\f":
            end += 1
        return self.text.count("\n", at, end) > 1

    def _line(self, at: int) -> int:
        """A number that is the same for offsets on the same line."""
        return self.text.rfind("\n", 0, at)

    # --- statements -----------------------------------------------------------------------------

    def _statement(self, node: _Node, indent: int) -> list[Entry]:
        """The statement, and before it the comments that stood in its header."""
        if isinstance(node, _Block):
            return self._block(node, indent)
        if isinstance(node, (ast.ReadoutDef, ast.Hamiltonian)):
            return [self._definition(node, indent)]
        family, form, cells = self._cells(node)
        texts = [flat(cell) for cell in cells]
        if all(text is not None for text in texts):
            row = Row([text for text in texts if text is not None], family, form)
            if indent + len(row.text) <= WIDTH:
                return [row]
        spaced = [part for cell in cells for part in (" ", cell)][1:]
        return [Lines(render(Concat(tuple(spaced)), WIDTH, indent))]

    def _cells(self, node: _Node) -> tuple[str, str, list[Layout]]:
        """The family of a statement, its form, and its cells."""
        show, given = self.show, self.given
        match node:
            case ast.Input(name, type_):
                return "declaration", "typed", ["input", f"{name}:", self.type(type_)]
            case ast.Target(name, type_):
                return "declaration", "typed", ["target", f"{name}:", self.type(type_)]
            case ast.Param(name, type_, initial, frozen):
                word = "frozen" if frozen else "param"
                return "declaration", "typed", [word, *self._typed(name, type_, initial)]
            case ast.Carry(name, type_, initial):
                return "declaration", "typed", ["carry", *self._typed(name, type_, initial)]
            case ast.Qubits(registers, initial):
                parts: list[Layout] = []
                for i, register in enumerate(registers):
                    parts += [", "] if i else []
                    parts += [f"{register.name}[", show(register.size), "]"]
                start = (" = ", show(initial)) if initial is not None else ()
                return "declaration", "", ["qubits", concat(*parts, *start)]
            case ast.Readout(name, value, shots, weak):
                options: list[Layout] = []
                if shots is not None:
                    options += [" shots ", show(shots)]
                if weak is not None:
                    options += [" weak ", show(weak)]
                return _binding("readout", name, concat(given("=", value), *options))
            case ast.AnsatzBinding(name, value):
                return _binding("ansatz", name, given("=", value))
            case ast.Layer(kind, name, value, frozen):
                return _binding(f"frozen {kind}" if frozen else kind, name, given("=", value))
            case ast.Init(target, value):
                return "declaration", "binding", ["init", show(target), given("=", value)]
            case ast.Const(name, value):
                return "const", "", [f"const {name}", given("=", value)]
            case ast.Let(name, value):
                return "let", "", [f"let {name}", given("=", value)]
            case ast.Update(name, value):
                return "update", "", [name, given("<-", value)]
            case ast.Emit(value, str(name)):
                return "emit", "", [f"emit {name}", given("=", value)]
            case ast.Setting(name, value):
                return "setting", "", [name, given("=", value)]
        return "", "", [self._plain(node)]

    def _typed(self, name: str, type_: ast.TypeExpr, initial: ast.Expr | None) -> list[Layout]:
        # Types differ too much in length for a common column behind them.
        rest = (" ", self.given("=", initial)) if initial is not None else ()
        return [f"{name}:", concat(self.type(type_), *rest)]

    def _plain(self, node: _Node) -> Layout:
        show, commas = self.show, self.expressions.commas
        match node:
            case ast.Gate(name, args, operands, modifiers):
                head: Layout = name
                if args:
                    after = modifiers[-1].span.end if modifiers else node.span.start
                    head = concat(name, self._args(args, after))
                return concat(*self._modifiers(modifiers), head, " ", commas(operands))
            case ast.Apply(callee, operands, modifiers, time, trotter):
                parts: list[Layout] = ["apply ", *self._modifiers(modifiers), show(callee, 10)]
                if time is not None:
                    parts += [" for ", show(time)]
                if trotter is not None:
                    parts += [" trotter ", show(trotter)]
                return concat(*parts, " to ", commas(operands))
            case ast.Emit(value):
                return concat("emit ", show(value))
            case ast.Return(value):
                return concat("return ", show(value))
            case ast.Prepare(value, operands):
                return concat("prepare ", show(value), " on ", commas(operands))
            case ast.Reset(operands):
                return concat("reset ", commas(operands))
            case ast.Discard(value):
                return show(value)
            case ast.Postselect(target, outcome):
                return concat("postselect ", show(target, 10), " == ", show(outcome, 5))
            case ast.Require(condition, message):
                text = Indent(concat(SPACE, quote(message)))
                return Group(concat("require ", show(condition), ",", text))
            case ast.Use(path, names, relative):
                return self._use(node, path, names, relative)
            case ast.Extern(name, params, values, result, path):
                types: list[Layout] = []
                for value_ in values:
                    types += [self.type(value_), ", "]
                types[-1:] = [" "] if types else []
                return concat(
                    f"extern layer {name}",
                    self._params(params, node.span.start),
                    ": ",
                    *types,
                    "-> ",
                    self.type(result),
                    " = ",
                    quote(path),
                )
        raise TypeError(type(node).__name__)

    def _modifiers(self, modifiers: Sequence[ast.Modifier]) -> list[Layout]:
        out: list[Layout] = []
        for modifier in modifiers:
            arg = ("(", self.show(modifier.arg), ")") if modifier.arg is not None else ()
            out += [modifier.kind, *arg, " @ "]
        return out

    def _args(self, args: Sequence[ast.Arg], after: int) -> Layout:
        shown = [(self.expressions.arg(arg), arg.span) for arg in args]
        return self._listed("(", shown, ")", after)

    def _listed(
        self, opening: str, items: Sequence[tuple[Layout, Span]], closing: str, after: int
    ) -> Layout:
        """Items in the next brackets behind an offset."""
        source = items[0][1].source
        end = self._find(closing, items[-1][1].end) + 1
        around = Span(source, self._find(opening, after), end)
        return self.expressions.bracketed(opening, items, closing, around)

    def _use(
        self, node: ast.Use, path: Sequence[str], names: Sequence[ast.UseName], relative: bool
    ) -> Layout:
        prefix = "." if relative else ""
        shown = [f"{n.name} as {n.alias}" if n.alias else n.name for n in names]
        where = prefix + "".join(f"{part}." for part in path)
        grouped = node.span.text.rstrip().endswith("}") or len(names) > 1
        if not grouped:
            return f"use {where}{shown[0]}"
        parts: list[tuple[Layout, Span]] = [
            (text, name.span) for text, name in zip(shown, names, strict=True)
        ]
        return concat(f"use {where}", self._listed("{", parts, "}", node.span.start))

    # --- headers --------------------------------------------------------------------------------

    def _params(self, params: Sequence[ast.Parameter], after: int) -> Layout:
        if not params:
            return ""
        shown: list[tuple[Layout, Span]] = []
        for p in params:
            default = (" = ", self.show(p.default)) if p.default is not None else ()
            shown.append((concat(f"{p.name}: ", self.type(p.type), *default), p.span))
        return self._listed("(", shown, ")", after)

    def _name(self, node: ast.Ansatz | ast.ReadoutDef | ast.Hamiltonian) -> Layout:
        word = {"Ansatz": "ansatz", "ReadoutDef": "readout", "Hamiltonian": "hamiltonian"}
        params = self._params(node.params, node.span.start)
        return concat(f"{word[type(node).__name__]} {node.name}", params)

    def _clauses(self, node: ast.Ansatz | ast.ReadoutDef | ast.Hamiltonian) -> list[Layout]:
        """`on …` and `with …`."""
        registers: list[Layout] = []
        for r in node.registers:
            size = ("[", self.show(r.size), "]") if r.size is not None else ()
            registers.append(concat(f"{r.name}: qubit", *size))
        clauses = [_clause("on ", registers)]
        if not isinstance(node, ast.ReadoutDef) and node.values:
            values: list[Layout] = [concat(f"{v.name}: ", self.type(v.type)) for v in node.values]
            clauses.append(_clause("with ", values))
        return clauses

    def _ansatz(self, node: ast.Ansatz) -> tuple[Layout, list[Layout]]:
        """The name and the clauses; made once, since that takes the comments in them."""
        if id(node) not in self._ansaetze:
            self._ansaetze[id(node)] = self._name(node), self._clauses(node)
        return self._ansaetze[id(node)]

    def _broken_header(self, name: Layout, clauses: Sequence[Layout], indent: int) -> list[str]:
        """A header that does not fit on a line: each clause on its own, if need be."""
        first = flat(concat(name, " ", clauses[0]))
        if first is not None and indent + len(first) <= WIDTH:
            lines, rest = [first], clauses[1:]
        else:
            lines, rest = render(name, WIDTH, indent), clauses
            tail = flat(_joined(clauses))
            if len(lines) > 1 and tail is not None and len(lines[-1] + tail) + 3 <= WIDTH:
                return [*lines[:-1], f"{lines[-1]} {tail}"]
        margin = " " * (indent + 2)
        for clause in rest:
            inner = render(clause, WIDTH, indent + 2)
            lines += [margin + inner[0], *inner[1:]]
        return lines

    def _definition(self, node: ast.ReadoutDef | ast.Hamiltonian, indent: int) -> Entry:
        """A readout or a hamiltonian."""
        name, clauses = self._name(node), self._clauses(node)
        body = self.expressions.alone(node.body)
        cells = [flat(part) for part in (name, _joined(clauses), concat("= ", body))]
        if None not in cells:
            row = Row([cell for cell in cells if cell is not None], type(node).__name__)
            if indent + len(row.text) <= WIDTH:
                return row
        head = flat(concat(name, " ", _joined(clauses)))
        if head is not None and indent + len(head) + 4 <= WIDTH:
            if isinstance(node.body, (ast.List, ast.Comprehension)):
                return Lines(render(concat(head, " = ", body), WIDTH, indent))
            lines = [head + " ="]
        else:
            lines = self._broken_header(name, clauses, indent)
            body = concat("= ", body)
        inner = render(body, WIDTH, indent + 2)
        return Lines([*lines, " " * (indent + 2) + inner[0], *inner[1:]])

    def _header(self, node: _Block) -> tuple[Layout, int]:
        """What stands before `{`, and an offset behind which the `{` is the next one."""
        show = self.show
        at = node.span.start
        match node:
            case ast.Model(name, params):
                end = params[-1].span.end if params else at
                return concat(f"model {name}", self._params(params, at)), end
            case ast.Circuit(name, params, values, result):
                shown: list[tuple[Layout, Span]] = [
                    (concat(f"{v.name}: ", self.type(v.type)), v.span) for v in values
                ]
                behind = self._find(")", params[-1].span.end) if params else at
                args = self._listed("(", shown, ")", behind) if shown else "()"
                arrow = (" -> ", self.type(result)) if result is not None else ()
                ends = [at, *(p.span.end for p in (*params, *values)), *_ends(result)]
                head = concat(f"circuit {name}", self._params(params, at), args, *arrow)
                return head, max(ends)
            case ast.Ansatz():
                ends = [p.span.end for p in (*node.registers, *node.values)]
                name_, clauses = self._ansatz(node)
                return concat(name_, " ", _joined(clauses)), max(ends)
            case ast.Recurrent(name, sequences):
                over = self.expressions.commas(sequences)
                return concat(f"recurrent {name} over ", over), sequences[-1].span.end
            case ast.Step(items, sequences, _, extra, flag):
                parts: list[Layout] = ["step"]
                if items:
                    parts.append(" " + ", ".join(items))
                if sequences:
                    parts += [" in ", self.expressions.commas(sequences)]
                if extra is not None:
                    parts += [" then ", show(extra), f" as {flag}" if flag else ""]
                ends = [at, *(s.span.end for s in sequences), *_ends(extra)]
                return concat(*parts), max(ends)
            case ast.For(var, range_):
                return concat(f"for {var} in ", show(range_)), range_.span.end
            case ast.If(condition):
                return concat("if ", show(condition)), condition.span.end
            case ast.Train(model, args):
                call = self._args(args, at) if args else ""
                return concat(f"train {model}", call), args[-1].span.end if args else at
            case ast.Govern(model):
                return f"govern {model}", at
        raise TypeError(type(node).__name__)

    # --- blocks ---------------------------------------------------------------------------------

    def _block(self, node: _Block, indent: int) -> list[Entry]:
        # First, since making the header takes the comments in it.
        one_line = self._one_line(node)
        if one_line is not None and indent + len(one_line) <= WIDTH:
            return [Row([one_line])]
        header, after = self._header(node)
        opening = self._find("{", after)
        body: Sequence[_Node]
        if isinstance(node, _Settings):
            body = node.settings
        else:
            body = node.then if isinstance(node, ast.If) else node.body
        hoisted = self.comments.take(node.span.start, opening)
        first = flat(header)
        if first is not None and indent + len(first) + 2 <= WIDTH:
            lines = [first + " {"]
        elif isinstance(node, ast.Ansatz):
            lines = self._broken_header(*self._ansatz(node), indent)
            if lines[-1].lstrip().startswith(")"):
                lines[-1] += " {"
            else:
                lines.append(" " * indent + "{")
        else:
            lines = render(concat(header, " {"), WIDTH, indent)
        goes_on = isinstance(node, ast.If) and bool(node.orelse)
        after = self._inside(lines, body, opening, indent, goes_on=goes_on)
        if isinstance(node, ast.If):
            self._else(lines, node, after, indent)
        return [*(_moved(c) for c in hoisted), Lines(lines, apart=not indent)]

    def _inside(
        self,
        lines: list[str],
        body: Sequence[_Node],
        opening: int,
        indent: int,
        above: Sequence[ast.Comment] = (),
        goes_on: bool = False,
    ) -> int:
        """Adds a body and its closing brace to the lines; the offset behind the brace. With
        `goes_on` an `else` follows, and what stands behind the brace moves before it."""
        end = body[-1].span.end if body else opening + 1
        closing = self._find("}", end)
        first: list[Entry] = [_moved(comment) for comment in above]
        comments = self.comments.take(opening, self._end_of_line(opening, closing, body))
        for comment in comments:
            if is_line(comment) and comment is comments[0]:
                lines[-1] += "   " + tidy(comment)
            else:
                first.append(_remark(comment))
        entries = [*first, *self.body(body, opening + 1, closing, indent + 2)]
        while entries and isinstance(entries[0], Blank):
            del entries[0]
        if goes_on:
            self._behind(entries, closing)
        if not entries and lines[-1].endswith("{"):
            lines[-1] += "}"
        else:
            lines += to_lines(entries, indent + 2)
            lines.append(" " * indent + "}")
        return closing + 1

    def _behind(self, entries: list[Entry], closing: int) -> None:
        """Comments behind a closing brace, on its line, belong to what the brace closes."""
        line_end = self.text.find("\n", closing)
        stop = min(self._find("else", closing), line_end if line_end >= 0 else len(self.text))
        for comment in self.comments.take(closing, stop):
            last = entries[-1] if entries else None
            one_line = self.text.rfind("\n", 0, closing) < self.text.rfind("{", 0, closing)
            if isinstance(last, (Row, Lines)) and one_line:
                last.comment = f"{last.comment} {tidy(comment)}".strip()
            else:
                entries.append(_moved(comment))

    def _end_of_line(self, opening: int, closing: int, body: Sequence[_Node]) -> int:
        """Up to where a comment belongs to the line of the opening brace."""
        stop = body[0].span.start if body else closing
        line_end = self.text.find("\n", opening, stop)
        return line_end if line_end >= 0 else opening

    def _else(self, lines: list[str], node: ast.If, after: int, indent: int) -> None:
        """Adds `else …` behind the closing brace that ends the lines."""
        while node.orelse:
            nested = node.orelse[0]
            chain = nested if isinstance(nested, ast.If) and self._is_chain(node, after) else None
            if chain is not None:
                header = concat("} else if ", self.show(chain.condition), " {")
                opening = self._find("{", chain.condition.span.end)
            else:
                header = concat("} else {")
                opening = self._find("{", after)
            last = lines.pop()
            if last.endswith("{}"):
                lines.append(last[:-1])
            rendered = render(header, WIDTH, indent)
            lines += [" " * indent + rendered[0], *rendered[1:]]
            above = self.comments.take(after, opening)
            body = node.orelse if chain is None else chain.then
            goes_on = chain is not None and bool(chain.orelse)
            after = self._inside(lines, body, opening, indent, above, goes_on)
            if chain is None:
                return
            node = chain

    def _is_chain(self, node: ast.If, after: int) -> bool:
        """Whether `else` is followed by `if`, and not by a block that holds one."""
        if len(node.orelse) > 1:
            return False
        brace = self._find("{", after)
        word = self._find("if", after)
        return word <= brace

    def _one_line(self, node: _Node) -> str | None:
        """The whole statement on one line; a block only where it was written so."""
        if id(node) not in self._flat:
            self._flat[id(node)] = (
                self._flat_block(node) if isinstance(node, _Block) else self._flat_simple(node)
            )
        return self._flat[id(node)]

    def _flat_simple(self, node: _Node) -> str | None:
        texts = [flat(cell) for cell in self._cells(node)[2]]
        if None in texts or (isinstance(node, ast.Const) and node.doc):
            return None
        return " ".join(text for text in texts if text is not None)

    def _flat_block(self, node: _Block) -> str | None:
        if isinstance(node, (ast.Train, ast.Govern, ast.Model, ast.Recurrent)):
            return None
        if self.comments.any(node.span.start, node.span.end):
            return None
        body = node.then if isinstance(node, ast.If) else node.body
        header, after = self._header(node) if body else ("", 0)
        head = flat(header)
        if not body or head is None or "\n" in self.text[self._find("{", after) : node.span.end]:
            return None
        inner = self._flat_body(body)
        if inner is None:
            return None
        text = f"{head} {{ {inner} }}"
        if isinstance(node, ast.If) and node.orelse:
            rest = self._flat_body(node.orelse)
            if rest is None:
                return None
            chain = len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)
            text += f" else {rest}" if chain else f" else {{ {rest} }}"
        return text

    def _flat_body(self, body: Sequence[_Node]) -> str | None:
        texts = [self._one_line(node) for node in body]
        if None in texts:
            return None
        return "  ".join(text for text in texts if text is not None)

    def _find(self, sign: str, at: int) -> int:
        """The next place of a sign, outside comments; the end if there is none."""
        text = self.text
        while at < len(text):
            if text.startswith("//", at):
                end = text.find("\n", at)
                at = end if end >= 0 else len(text)
            elif text.startswith("/*", at):
                end = text.find("*/", at + 2)
                at = end + 2 if end >= 0 else len(text)
            elif text.startswith(sign, at):
                return at
            else:
                at += 1
        return len(text)


def _joined(clauses: Sequence[Layout]) -> Layout:
    return Concat(tuple(part for clause in clauses for part in (" ", clause))[1:])


def _docs(node: _Node) -> list[Entry]:
    doc = getattr(node, "doc", "")
    return [Remark([f"/// {line}".rstrip()]) for line in doc.split("\n")] if doc else []


def _binding(word: str, name: str, value: Layout) -> tuple[str, str, list[Layout]]:
    return "declaration", "binding", [word, name, value]


def _clause(word: str, items: Sequence[Layout]) -> Layout:
    parts: list[Layout] = []
    for i, item in enumerate(items):
        parts += [concat(",", SPACE), item] if i else [item]
    return Group(concat(word, Indent(Concat(tuple(parts)))))


def _remark(comment: ast.Comment) -> Remark:
    return Remark(tidy(comment).split("\n"))


def _moved(comment: ast.Comment) -> Remark:
    return Remark(moved(comment).split("\n"))


def _ends(node: ast.Node | None) -> tuple[int, ...]:
    return (node.span.end,) if node is not None else ()
