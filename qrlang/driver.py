"""From a source to whatever is asked of it: the phases as steps, each done once.

Nothing here prints. What needs a right program raises `CompileError` for a wrong one, and
`diagnostics` says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from qrlang.diagnostics import Diagnostic, has_errors
from qrlang.source import Source, Span

if TYPE_CHECKING:
    from qrlang.check.library import Library
    from qrlang.check.model import Checked, CheckedModel
    from qrlang.ir.program import Program
    from qrlang.syntax import ast

Setting = int | float | bool | str
After = Callable[[str, "Program"], None]


class CompileError(Exception):
    """The program is wrong; `Compilation.diagnostics` has the reasons."""


@dataclass(eq=False)
class Compilation:
    """One file at given settings of its models."""

    source: Source
    settings: Mapping[str, Setting] = field(default_factory=dict)
    only: str | None = None  # the model that is asked for; None: all
    passes: tuple[str, ...] | None = None  # None: the usual ones
    verify: bool = False  # the program after each pass
    encoding: tuple[Diagnostic, ...] = ()  # what is wrong with the bytes themselves
    read: tuple[ast.File, tuple[Diagnostic, ...]] | None = None  # instead of what the text says

    @classmethod
    def of_bytes(
        cls,
        name: str,
        data: bytes,
        settings: Mapping[str, Setting] | None = None,
        only: str | None = None,
        passes: tuple[str, ...] | None = None,
        verify: bool = False,
        read: tuple[ast.File, tuple[Diagnostic, ...]] | None = None,
    ) -> Compilation:
        source, encoding = decode(name, data)
        return cls(source, settings or {}, only, passes, verify, encoding, read)

    # Syntax.

    @cached_property
    def _parsed(self) -> tuple[ast.File, tuple[Diagnostic, ...]]:
        from qrlang.syntax.parser import parse

        return self.read or parse(self.source)

    @property
    def file(self) -> ast.File:
        return self._parsed[0]

    @property
    def syntax(self) -> tuple[Diagnostic, ...]:
        return self.encoding or self._parsed[1]

    @property
    def broken(self) -> bool:
        """The text is not one of the language."""
        return has_errors(self.syntax)

    @cached_property
    def formatted(self) -> tuple[str | None, tuple[Diagnostic, ...]]:
        """The text in the one style; None if it cannot be had."""
        from qrlang.format import format_text

        if self.encoding:
            return None, self.encoding
        return format_text(self.source)

    # Meaning.

    @cached_property
    def library(self) -> Library:
        from qrlang.check.library import Library

        return Library()

    @cached_property
    def _checked(self) -> tuple[Checked, tuple[Diagnostic, ...]]:
        """A broken text is not checked: half of what would be said follows from the breaks."""
        from qrlang.check import check_file
        from qrlang.check.model import Checked
        from qrlang.syntax import ast

        if self.encoding:
            return Checked(ast.File(self.source, ()), {}), ()
        if self.broken:
            return Checked(self.file, {}), ()
        models = None if self.only is None else (self.only,)
        return check_file(self.file, self.library, self.settings, models)

    @property
    def checked(self) -> Checked:
        return self._checked[0]

    @cached_property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What only an analysis of whole models can see."""
        from qrlang.analysis.warnings import warnings_of

        found = (w for m in self.checked.models.values() for w in warnings_of(m))
        return tuple(dict.fromkeys(found))  # a line of an unrolled loop has said it often enough

    @cached_property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Everything that the front end has to say."""
        found = (*self.syntax, *self._checked[1])
        return found if self.failed else (*found, *self.warnings)

    @property
    def failed(self) -> bool:
        return has_errors((*self.syntax, *self._checked[1]))

    def models(self) -> list[CheckedModel]:
        if self.failed:
            raise CompileError
        return list(self.checked.models.values())

    # Programs.

    def optimised(
        self, program: Program, usual: tuple[str, ...] | None = None, after: After | None = None
    ) -> Program:
        """After the passes that were asked for, else the usual ones (None: a simulator's).
        `after` sees each pass and its result."""
        from qrlang.passes import PASSES, SIMULATOR, run_passes

        for name in self.passes if self.passes is not None else usual or SIMULATOR:
            try:
                program = run_passes(program, (PASSES[name],), verify=self.verify)
            except Exception as error:
                error.add_note(f"in the pass {name}")
                raise
            if after is not None:
                after(name, program)
        return program

    def for_target(self, model: CheckedModel) -> CheckedModel:
        """With passes that leave plain gates, which every target knows."""
        from qrlang.passes import GATES

        return replace(model, program=self.optimised(model.program, GATES))


def decode(name: str, data: bytes) -> tuple[Source, tuple[Diagnostic, ...]]:
    """A text from bytes. Bytes that are not UTF-8 are replaced, and reported."""
    from qrlang.syntax.parser import MAX_BYTES, too_large

    if len(data) > MAX_BYTES:
        source = Source(name, "")
        return source, (too_large(source),)
    text = data.decode("utf-8-sig", errors="replace")
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        source = Source(name, text)
        start = len(data[: error.start].decode("utf-8-sig", errors="replace"))
        return source, (
            Diagnostic(
                "E0100",
                "this file is not UTF-8 text",
                Span(source, start, min(start + 1, len(text))),
                label=f"byte {error.start} is 0x{data[error.start]:02x}",
                help="save the file with the encoding UTF-8",
            ),
        )
    return Source(name, text.replace("\r\n", "\n")), ()


# --- what `--emit` can show -----------------------------------------------------------------------


def _tokens(c: Compilation) -> str:
    from qrlang.syntax.tokens import tokens

    return "".join(f"{place!s:24} {kind:12} {text}\n" for kind, text, place in tokens(c.source))


def _ast(c: Compilation) -> str:
    from qrlang.syntax.dump import dump

    return dump(c.file)


def _typed(c: Compilation) -> str:
    """Every declaration with what was inferred about it."""
    lines = []
    for model in c.models():
        lines.append(f"{model.program.name}:")
        for fact in sorted(model.facts, key=lambda f: (f.span.source.name, f.span.start)):
            line, _ = fact.span.source.line_column(fact.span.start)
            lines.append(f"  {fact.span.source.name}:{line}: {fact.name}: {fact.text}")
    return "\n".join(lines) + "\n"


def _ir(c: Compilation) -> str:
    from qrlang.ir.text import print_program

    return "\n".join(print_program(m.program) for m in c.models())


def _opt(c: Compilation) -> str:
    from qrlang.ir.text import print_program

    return "\n".join(print_program(c.optimised(m.program)) for m in c.models())


EMIT: dict[str, Callable[[Compilation], str]] = {
    "tokens": _tokens,
    "ast": _ast,
    "typed": _typed,
    "ir": _ir,
    "opt": _opt,
}
