"""The language server protocol: what an editor says, in words of the other files, and back."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path, to_fs_path

from qrlang.check.library import drawn_on
from qrlang.diagnostics import Diagnostic
from qrlang.editor.actions import actions, use_line
from qrlang.editor.calls import call_at
from qrlang.editor.completion import Completion, complete
from qrlang.editor.document import Document
from qrlang.editor.hints import hints
from qrlang.editor.hover import hover
from qrlang.editor.names import Written, name_at, occurrences, path_of, why_not_renamed
from qrlang.editor.outline import Entry, outline
from qrlang.source import Source, Span
from qrlang.syntax import ast
from qrlang.version import VERSION

PAUSE = 0.2  # seconds without a key before a text is checked
KINDS = {
    "keyword": lsp.CompletionItemKind.Keyword,
    "gate": lsp.CompletionItemKind.Operator,
    "function": lsp.CompletionItemKind.Function,
    "layer": lsp.CompletionItemKind.Class,
    "type": lsp.CompletionItemKind.TypeParameter,
    "setting": lsp.CompletionItemKind.Property,
    "value": lsp.CompletionItemKind.EnumMember,
    "module": lsp.CompletionItemKind.Module,
    "item": lsp.CompletionItemKind.Interface,
    "name": lsp.CompletionItemKind.Variable,
}
SYMBOLS = {
    "model": lsp.SymbolKind.Class,
    "ansatz": lsp.SymbolKind.Function,
    "circuit": lsp.SymbolKind.Function,
    "readout": lsp.SymbolKind.Field,
    "hamiltonian": lsp.SymbolKind.Operator,
    "const": lsp.SymbolKind.Constant,
    "train": lsp.SymbolKind.Event,
    "govern": lsp.SymbolKind.Event,
    "recurrent": lsp.SymbolKind.Namespace,
    "step": lsp.SymbolKind.Method,
    "qubits": lsp.SymbolKind.Array,
    "input": lsp.SymbolKind.Property,
    "target": lsp.SymbolKind.Property,
    "extern": lsp.SymbolKind.Interface,
}
UNUSED = ("W0201", "W0202", "W0203", "W0204", "W0205")


class Server:
    """What an editor is told. Each answer is for one version of a text."""

    def __init__(self) -> None:
        self.wire: Any = LanguageServer("qrlang", VERSION)
        self.texts: dict[str, tuple[int | None, Document]] = {}
        self.changes: dict[str, int] = {}
        quick = lsp.CodeActionOptions([lsp.CodeActionKind.QuickFix])
        answers: dict[str, tuple[Any, Any]] = {
            lsp.TEXT_DOCUMENT_DID_OPEN: (self.opened, None),
            lsp.TEXT_DOCUMENT_DID_CHANGE: (self.changed, None),
            lsp.TEXT_DOCUMENT_DID_SAVE: (self.saved, None),
            lsp.TEXT_DOCUMENT_DID_CLOSE: (self.closed, None),
            lsp.TEXT_DOCUMENT_HOVER: (self.hover, None),
            lsp.TEXT_DOCUMENT_SIGNATURE_HELP: (
                self.call, lsp.SignatureHelpOptions(trigger_characters=["(", ","])
            ),
            lsp.TEXT_DOCUMENT_INLAY_HINT: (self.inferred, None),
            lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL: (self.outline, None),
            lsp.TEXT_DOCUMENT_DEFINITION: (self.definition, None),
            lsp.TEXT_DOCUMENT_REFERENCES: (self.references, None),
            lsp.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT: (self.highlights, None),
            lsp.TEXT_DOCUMENT_PREPARE_RENAME: (self.renameable, None),
            lsp.TEXT_DOCUMENT_RENAME: (self.rename, lsp.RenameOptions(prepare_provider=True)),
            lsp.TEXT_DOCUMENT_COMPLETION: (
                self.complete, lsp.CompletionOptions(trigger_characters=["."])
            ),
            lsp.TEXT_DOCUMENT_CODE_ACTION: (self.actions, quick),
            lsp.TEXT_DOCUMENT_FORMATTING: (self.formatted, None),
        }  # fmt: skip
        for name, (answer, options) in answers.items():
            self.wire.feature(name, options)(partial(answer))

    def start(self) -> None:
        """Until the editor says that it is over."""
        self.wire.start_io()

    def document(self, uri: str) -> Document:
        """The newest version of a text; each is read once."""
        text = self.wire.workspace.get_text_document(uri)
        version, known = self.texts.get(uri, (None, None))
        if known is not None and version == text.version:
            return known
        made = Document(name_of(uri), text.source, known)
        self.texts[uri] = text.version, made
        return made

    # --- places: an editor counts UTF-16, a text code points ---

    def offset(self, document: Document, place: Any) -> int:
        source = document.source
        if place.line >= len(source.line_starts):
            return len(source.text)
        line = source.line_text(place.line + 1)
        here = lsp.Position(0, place.character)
        codec = self.wire.workspace.position_codec
        column: int = codec.position_from_client_units([line], here).character
        return int(source.line_starts[place.line] + min(column, len(line)))

    def position(self, source: Source, offset: int) -> Any:
        line, column = source.line_column(min(offset, len(source.text)))
        before = source.line_text(line)[: column - 1]
        codec = self.wire.workspace.position_codec
        return lsp.Position(line - 1, codec.client_num_units(before))

    def range(self, span: Span) -> Any:
        start, end = (self.position(span.source, at) for at in (span.start, span.end))
        return lsp.Range(start, end)

    def location(self, uri: str, document: Document, span: Span) -> Any:
        """Of something in a text, or in a file that it draws on; None if that has no file."""
        if span.source is not document.source:
            module = next(
                (m for m in drawn_on(document.module) if m.file.source.name == span.source.name),
                None,
            )
            path = path_of(module) if module is not None else None
            uri = from_fs_path(str(path)) if path is not None else ""
        return lsp.Location(uri, self.range(span)) if uri else None

    # --- texts as they change, checked when there is a pause ---

    def opened(self, params: Any) -> None:
        self.publish(params.text_document.uri)

    async def changed(self, params: Any) -> None:
        uri = params.text_document.uri
        turn = self.changes[uri] = self.changes.get(uri, 0) + 1
        await asyncio.sleep(PAUSE)
        if self.changes.get(uri) == turn:
            self.publish(uri)

    def saved(self, _: Any) -> None:
        """Others may draw on it: all are read again."""
        self.texts = {uri: (None, known) for uri, (_, known) in self.texts.items()}
        for uri in list(self.texts):
            self.publish(uri)

    def closed(self, params: Any) -> None:
        uri = params.text_document.uri
        self.texts.pop(uri, None)
        self.changes.pop(uri, None)
        nothing = lsp.PublishDiagnosticsParams(uri, [])
        self.wire.text_document_publish_diagnostics(nothing)

    def publish(self, uri: str) -> None:
        document = self.document(uri)
        said = [self.said(uri, document, d) for d in document.diagnostics]
        version = self.texts[uri][0]
        self.wire.text_document_publish_diagnostics(
            lsp.PublishDiagnosticsParams(uri, said, version)
        )

    def said(self, uri: str, document: Document, d: Diagnostic) -> Any:
        span, message, beside = d.span, d.message, []
        if d.span.source is not document.source:  # where the file is drawn in that it is in
            span, message = _use_of(document, d.span.source), f"{d.span}: {d.message}"
            beside.append((d.span, d.message))
        message += f"\n{d.label}" if d.label else ""
        for note in d.notes:
            if note.span is None:
                message += f"\nnote: {note.text}"
            else:
                beside.append((note.span, note.text))
        message += f"\nhelp: {d.help}" if d.help else ""
        places = [(self.location(uri, document, at), text) for at, text in beside]
        notes = [lsp.DiagnosticRelatedInformation(at, text) for at, text in places if at]
        error = lsp.DiagnosticSeverity.Error
        return lsp.Diagnostic(
            self.range(span), message,
            error if d.severity == "error" else lsp.DiagnosticSeverity.Warning,
            d.code, source="qrlc", related_information=notes or None,
            tags=[lsp.DiagnosticTag.Unnecessary] if d.code in UNUSED else None,
        )  # fmt: skip

    # --- what something is ---

    def hover(self, params: Any) -> Any:
        document, offset = self._here(params)
        found = hover(document, offset)
        return lsp.Hover(_markdown(found[0]), self.range(found[1])) if found is not None else None

    def call(self, params: Any) -> Any:
        found = call_at(*self._here(params))
        if found is None:
            return None
        parts = [lsp.ParameterInformation(p) for p in found.parts]
        at = found.at if found.at >= 0 else None
        said = lsp.SignatureInformation(found.text, _markdown(found.doc), parts, at)
        return lsp.SignatureHelp([said], 0, at)

    def inferred(self, params: Any) -> Any:
        document = self.document(params.text_document.uri)
        first, last = params.range.start.line, params.range.end.line
        found = [(self.position(document.source, at), text) for at, text in hints(document)]
        return [
            lsp.InlayHint(place, text, lsp.InlayHintKind.Type, padding_left=True)
            for place, text in found
            if first <= place.line <= last
        ]

    def outline(self, params: Any) -> Any:
        def shown(e: Entry) -> Any:
            kind = SYMBOLS.get(e.word, lsp.SymbolKind.Variable)
            inside = [shown(x) for x in e.inside]
            whole, place = self.range(e.span), self.range(e.place)
            return lsp.DocumentSymbol(e.name, kind, whole, place, e.word, children=inside)

        return [shown(e) for e in outline(self.document(params.text_document.uri))]

    # --- where a name is declared, and where else it stands ---

    def definition(self, params: Any) -> Any:
        document, found = self._named(params)
        if found is None or found.symbol.place is None:
            return None
        return self.location(params.text_document.uri, document, found.symbol.place)

    def references(self, params: Any) -> Any:
        return [lsp.Location(params.text_document.uri, x) for x in self._others(params)]

    def highlights(self, params: Any) -> Any:
        return [lsp.DocumentHighlight(x) for x in self._others(params)]

    def renameable(self, params: Any) -> Any:
        document, found = self._named(params)
        if found is None or why_not_renamed(document, found.symbol, "a_new_name"):
            return None
        return self.range(found.span)

    def rename(self, params: Any) -> Any:
        document, found = self._named(params)
        if found is None:
            return None
        why = why_not_renamed(document, found.symbol, params.new_name)
        if why:
            raise JsonRpcInvalidParams(why)
        edits = [lsp.TextEdit(x, params.new_name) for x in self._others(params)]
        return lsp.WorkspaceEdit({params.text_document.uri: edits})

    # --- what the server writes itself ---

    def complete(self, params: Any) -> Any:
        document, offset = self._here(params)
        above = self.range(use_line(document))
        return [self._offered(c, i, above) for i, c in enumerate(complete(document, offset))]

    def _offered(self, c: Completion, number: int, above: Any) -> Any:
        drawn_in = [lsp.TextEdit(above, f"use {c.use}\n")] if c.use else None
        where = lsp.CompletionItemLabelDetails(description=c.use) if c.use else None
        return lsp.CompletionItem(
            c.text.strip(" :=<-"), kind=KINDS[c.kind], detail=c.detail or None,
            documentation=_markdown(c.doc), insert_text=c.text, filter_text=c.text,
            sort_text=f"{number:04}", additional_text_edits=drawn_in, label_details=where,
        )  # fmt: skip

    def actions(self, params: Any) -> Any:
        uri = params.text_document.uri
        document = self.document(uri)
        start, end = (self.offset(document, p) for p in (params.range.start, params.range.end))
        return [
            lsp.CodeAction(
                a.title, lsp.CodeActionKind.QuickFix, [self.said(uri, document, a.diagnostic)],
                is_preferred=True,
                edit=lsp.WorkspaceEdit({uri: [lsp.TextEdit(self.range(a.span), a.text)]}),
            )
            for a in actions(document, start, end)
        ]  # fmt: skip

    def formatted(self, params: Any) -> Any:
        document = self.document(params.text_document.uri)
        text, _ = document.made.formatted
        if text is None or text == document.source.text:
            return None
        whole = Span(document.source, 0, len(document.source.text))
        return [lsp.TextEdit(self.range(whole), text)]

    # --- what a request is about ---

    def _here(self, params: Any) -> tuple[Document, int]:
        document = self.document(params.text_document.uri)
        return document, self.offset(document, params.position)

    def _named(self, params: Any) -> tuple[Document, Written | None]:
        document, offset = self._here(params)
        return document, name_at(document, offset)

    def _others(self, params: Any) -> list[Any]:
        document, found = self._named(params)
        spans = occurrences(document, found.symbol) if found is not None else []
        return [self.range(x) for x in spans]


def name_of(uri: str) -> str:
    """What messages call a text: its path, or what is not saved yet."""
    path: str | None = to_fs_path(uri) if uri.startswith("file:") else None
    return path or "<new>"


def _use_of(document: Document, source: Source) -> Span:
    """The line that draws a file in, or the beginning."""
    for item in document.file.items:
        if isinstance(item, ast.Use):
            for use in item.names:
                found = document.module.uses.get(use.alias or use.name)
                if found is None or found[0].file.source.name == source.name:
                    return item.span
    return Span(document.source, 0, 0)


def _markdown(text: str) -> Any:
    return lsp.MarkupContent(lsp.MarkupKind.Markdown, text) if text else None
