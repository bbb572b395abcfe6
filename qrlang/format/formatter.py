"""One style for everybody. Trusts itself with nothing: see `_proof`."""

from __future__ import annotations

from collections import Counter

from qrlang.diagnostics.diagnostic import Diagnostic, has_errors
from qrlang.format.comments import moved
from qrlang.format.statements import Printer
from qrlang.source import Source, Span
from qrlang.syntax import ast
from qrlang.syntax.parser import parse


def format_text(source: Source) -> tuple[str | None, tuple[Diagnostic, ...]]:
    """The formatted text. None where the text has errors, or where the result can't be proven to
    say the same: then the file is to stay as it is."""
    file, diagnostics = parse(source)
    if has_errors(diagnostics):
        return None, diagnostics
    try:
        text = layout(file)
        doubt = _proof(file, text)
    except Exception as error:  # a bug of ours must not cost the user a file
        text, doubt = "", f"{type(error).__name__}: {error}"
    if doubt:
        return None, (*diagnostics, _internal(source, doubt))
    return text, diagnostics


def layout(file: ast.File) -> str:
    """A tree as text."""
    return Printer(file.source, file.comments).file(file.items)


def _proof(file: ast.File, text: str) -> str:
    """What is wrong with the result; "" if the tree is the same, every comment is there, and
    formatting it again changes nothing."""
    again, diagnostics = parse(Source(file.source.name, text))
    if has_errors(diagnostics):
        return f"the result does not parse: {diagnostics[0].message}"
    if again.items != file.items:
        return "the result has another tree"
    if Counter(map(moved, again.comments)) != Counter(map(moved, file.comments)):
        return "a comment was lost"
    if layout(again) != text:
        return "formatting again gives another text"
    return ""


def _internal(source: Source, doubt: str) -> Diagnostic:
    return Diagnostic(
        "E0199",
        f"this file can't be formatted: {doubt}",
        Span(source, 0, 0),
        help="this is a bug in qrlc, not in your file, which was left as it is; please report it",
    )
