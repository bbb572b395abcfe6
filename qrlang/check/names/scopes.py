"""The names that hold at a line, before anything is evaluated: declared, used, forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from qrlang.check.functions.builtins import BUILTINS
from qrlang.check.library import Module
from qrlang.check.report import Reporter
from qrlang.check.standard import library_hint
from qrlang.check.written.elsewhere import NAMES_ELSEWHERE
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import did_you_mean
from qrlang.gates import CHANNELS, GATES, SUGAR
from qrlang.source import Span
from qrlang.syntax import ast


@dataclass(slots=True)
class Info:
    """A declared name."""

    word: str
    span: Span
    used: bool = False
    members: dict[str, Info] | None = None  # of a recurrence


@dataclass(frozen=True, slots=True)
class Mention:
    """A name somewhere in `span`, and what these lines declare by it; None: it stands for an item
    of the file, for something drawn in, or for a word of the language."""

    span: Span
    name: str
    info: Info | None


@dataclass(slots=True)
class Block:
    names: dict[str, Info] = field(default_factory=dict)
    later: dict[str, Span] = field(default_factory=dict)  # declared further down
    ended: dict[str, tuple[str, Span]] = field(default_factory=dict)  # with a block before


DECLARED = {
    "layer": "layer",
    "controller": "controller",
    "attention": "attention",
    "ansatz": "ansatz",
    "readout": "readout",
    "param": "param",
    "frozen": "frozen tensor",
    "carry": "carry",
    "qubits": "register",
    "input": "input",
    "recurrent": "recurrence",
    "emit": "emitted value",
}
MISSING = "declare it, or `use` it from the library"  # of a name that nobody knows


class Names:
    """Blocks inside one another, innermost last, and what has been found about their names."""

    def __init__(self, module: Module, report: Reporter) -> None:
        self.module = module
        self.report = report
        self.blocks: list[Block] = []
        self.region = ""
        self.nested = False  # in a `for` or an `if`
        self.told: set[str] = set()  # unknown names of this item
        self.used_imports: set[str] = set()
        self.mentions: list[Mention] = []  # for editors
        self.warnings: list[tuple[str, Span, str, str]] = []

    @contextmanager
    def block(self, region: str | None = None, nested: bool | None = None) -> Iterator[Block]:
        """What is declared in these lines ends with them."""
        outer = self.region, self.nested
        self.region = self.region if region is None else region
        self.nested = self.nested if nested is None else nested
        block = Block(ended=self.blocks[-1].ended if self.blocks else {})
        self.blocks.append(block)
        try:
            yield block
        finally:
            self.blocks.pop()
            self.region, self.nested = outer

    def error(
        self, code: str, span: Span, message: str, help: str = "", notes: Iterable[Note] = ()
    ) -> None:
        self.report.error(code, span, message, help=help, notes=notes)

    def declare(self, name: str, word: str, span: Span) -> None:
        names = self.blocks[-1].names
        if name in names:
            self.error(
                "E0202",
                span,
                f"`{name}` is declared twice",
                "give one of them another name",
                [Note("the first is here", names[name].span)],
            )
            return
        names[name] = info = Info(word, span)
        self.mentions.append(Mention(span, name, info))
        self.blocks[-1].later.pop(name, None)

    def known(self, name: str, word: str, span: Span, used: bool = True) -> Info:
        """What is declared without a line of its own: `used`, where nobody has to use it."""
        info = Info(word, span, used)
        self.mentions.append(Mention(span, name, info))
        return info

    def find(self, name: str) -> Info | None:
        for block in reversed(self.blocks):
            found = block.names.get(name)
            if found is not None:
                return found
        return None

    def mention(self, span: Span, name: str) -> Info | None:
        """A name that is written, whether or not that is a use."""
        found = self.find(name)
        self.mentions.append(Mention(span, name, found))
        return found

    def named(self, callee: str, args: tuple[ast.Arg, ...]) -> None:
        """Arguments that a call gives by name: they stand for the parameters of an item."""
        parameters = {p.name: p.span for p in getattr(self.module.item(callee), "params", ())}
        for a in args:
            if a.name is not None and a.name in parameters:
                info = Info("parameter", parameters[a.name], True)
                self.mentions.append(Mention(a.span, a.name, info))

    def mark(self, node: ast.Name) -> bool:
        name = node.id
        found = self.mention(node.span, name)
        if found is not None:
            found.used = True
            return True
        if name in self.module.items:
            return True
        if name in self.module.uses:
            self.used_imports.add(name)
            return True
        return name in BUILTINS

    def use(self, node: ast.Name, missing: str = MISSING) -> None:
        name = node.id
        if self.mark(node):
            return
        self.report.reported_names.add((id(node.span.source), node.span.start))
        if name in self.told or name in self.module.file.lost:
            return
        self.told.add(name)
        for block in reversed(self.blocks):
            if name in block.later:
                self.error(
                    "E0203",
                    node.span,
                    f"`{name}` is used before it is declared",
                    "move its declaration up",
                    [Note(f"`{name}` is declared here", block.later[name])],
                )
                return
        if self.blocks and name in self.blocks[-1].ended:
            where, span = self.blocks[-1].ended[name]
            self.error(
                "E0504",
                node.span,
                f"`{name}` lives only inside {where}",
                "declare it outside, or hand its value out: a carry, or `emit name = …`",
                [Note(f"`{name}` is declared here", span)],
            )
            return
        if len(name) > 1 and (name in GATES or name in SUGAR or name in CHANNELS):
            self.error(
                "E0208",
                node.span,
                f"`{name}` is a gate, not a value",
                f"a gate is a line of its own: `{_gate_line(name)}`",
            )
            return
        self.error("E0201", node.span, f"unknown name `{name}`", self._suggest(name, missing))

    def _suggest(self, name: str, missing: str) -> str:
        if name in NAMES_ELSEWHERE:
            return NAMES_ELSEWHERE[name]
        words = {n for block in self.blocks for n in block.names}
        words |= set(self.module.items) | set(self.module.uses) | set(BUILTINS)
        help = did_you_mean(name, words) or library_hint(name)
        if not help and name in GATES:  # of one letter, and so perhaps a value that was meant
            return (
                f"as a gate it is a line of its own: `{_gate_line(name)}`; as a value, declare it"
            )
        return help or missing

    def unused(self, block: Block) -> None:
        for name, info in block.names.items():
            if info.used or name.startswith("_"):
                continue
            if info.word == "let":
                self.warnings.append(
                    (
                        "W0201",
                        info.span,
                        f"`{name}` is never used",
                        "remove it, or begin its name with `_`",
                    )
                )
            elif info.word in DECLARED:
                word = DECLARED[info.word]
                self.warnings.append(
                    (
                        "W0203" if info.word == "input" else "W0202",
                        info.span,
                        f"the {word} `{name}` is never "
                        + ("read" if word in ("carry", "input") else "used"),
                        "remove it, or begin its name with `_`",
                    )
                )


def _gate_line(gate: str) -> str:
    base, _ = SUGAR.get(gate, (gate, 0))
    numbers = base not in GATES or GATES[base].angles > 0  # channels have them, all
    return f"{gate}{'(…)' if numbers else ''} q[0]"
