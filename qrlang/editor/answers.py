"""What an editor asks of a text, in words of the other files, and back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams

from qrlang.diagnostics import Diagnostic
from qrlang.editor.actions import actions, use_line
from qrlang.editor.calls import argument_at, call_at
from qrlang.editor.completion import complete
from qrlang.editor.document import Document
from qrlang.editor.hints import hints
from qrlang.editor.hover import hover
from qrlang.editor.names import Written, name_at, occurrences, why_not_renamed
from qrlang.editor.offers import Completion
from qrlang.editor.outline import Entry, outline
from qrlang.editor.places import Places
from qrlang.editor.said import diagnostic, location
from qrlang.source import Span

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


Answer = Callable[[Document, Any], Any]


class Answers:
    def __init__(self, wire: Any) -> None:
        self.wire = wire

    def all(self) -> dict[str, tuple[Answer, Any]]:
        """By what is asked: the answer, and what an editor has to know of it beforehand."""
        quick = lsp.CodeActionOptions([lsp.CodeActionKind.QuickFix])
        return {
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

    @property
    def places(self) -> Places:
        return Places(self.wire.workspace.position_codec)

    def offset(self, document: Document, place: Any) -> int:
        return self.places.offset(document.source, place)

    def range(self, span: Span) -> Any:
        return self.places.range(span)

    def said(self, uri: str, document: Document, d: Diagnostic) -> Any:
        return diagnostic(uri, document, self.places, d)

    # --- what something is ---

    def hover(self, document: Document, params: Any) -> Any:
        offset = self.offset(document, params.position)
        found = argument_at(document, offset) or hover(document, offset)
        return lsp.Hover(self.shown(found[0]), self.range(found[1])) if found is not None else None

    def call(self, document: Document, params: Any) -> Any:
        found = call_at(document, self.offset(document, params.position))
        if found is None:
            return None
        parts = [lsp.ParameterInformation(p) for p in found.parts]
        at = found.at if found.at >= 0 else None
        said = lsp.SignatureInformation(found.text, self.shown(found.doc), parts, at)
        return lsp.SignatureHelp([said], 0, at)

    def inferred(self, document: Document, params: Any) -> Any:
        first, last = params.range.start.line, params.range.end.line
        found = [(self.places.position(document.source, at), text) for at, text in hints(document)]
        return [
            lsp.InlayHint(place, text, lsp.InlayHintKind.Type, padding_left=True)
            for place, text in found
            if first <= place.line <= last
        ]

    def outline(self, document: Document, _: Any) -> Any:
        def shown(e: Entry) -> Any:
            kind = SYMBOLS.get(e.word, lsp.SymbolKind.Variable)
            inside = [shown(x) for x in e.inside]
            whole, place = self.range(e.span), self.range(e.place)
            return lsp.DocumentSymbol(e.name, kind, whole, place, e.word, children=inside)

        return [shown(e) for e in outline(document)]

    def shown(self, text: str) -> Any:
        """Markdown, unless the editor says that it shows plain texts only."""
        if not text:
            return None
        about = self.wire.client_capabilities.text_document
        formats = about and about.hover and about.hover.content_format
        if formats and lsp.MarkupKind.Markdown not in formats:
            plain = re.sub(r"^```\w*\n|\n```$", "", text, flags=re.MULTILINE)
            return lsp.MarkupContent(lsp.MarkupKind.PlainText, plain.replace(r"\*", "*"))
        return lsp.MarkupContent(lsp.MarkupKind.Markdown, text)

    # --- where a name is declared, and where else it stands ---

    def definition(self, document: Document, params: Any) -> Any:
        found = self._named(document, params)
        if found is None or found.symbol.place is None:
            return None
        return location(params.text_document.uri, document, self.places, found.symbol.place)

    def references(self, document: Document, params: Any) -> Any:
        uri = params.text_document.uri
        return [lsp.Location(uri, x) for x in self._others(document, params)]

    def highlights(self, document: Document, params: Any) -> Any:
        return [lsp.DocumentHighlight(x) for x in self._others(document, params)]

    def renameable(self, document: Document, params: Any) -> Any:
        found = self._named(document, params)
        if found is None or why_not_renamed(document, found.symbol, "a_new_name"):
            return None
        return self.range(found.span)

    def rename(self, document: Document, params: Any) -> Any:
        found = self._named(document, params)
        if found is None:
            return None
        why = why_not_renamed(document, found.symbol, params.new_name)
        if why:
            raise JsonRpcInvalidParams(why)
        edits = [lsp.TextEdit(x, params.new_name) for x in self._others(document, params)]
        return lsp.WorkspaceEdit({params.text_document.uri: edits})

    def _named(self, document: Document, params: Any) -> Written | None:
        return name_at(document, self.offset(document, params.position))

    def _others(self, document: Document, params: Any) -> list[Any]:
        found = self._named(document, params)
        spans = occurrences(document, found.symbol) if found is not None else []
        return [self.range(x) for x in spans]

    # --- what the server writes itself ---

    def complete(self, document: Document, params: Any) -> Any:
        above = self.range(use_line(document))
        offset = self.offset(document, params.position)
        return [self._offered(c, i, above) for i, c in enumerate(complete(document, offset))]

    def _offered(self, c: Completion, number: int, above: Any) -> Any:
        drawn_in = [lsp.TextEdit(above, f"use {c.use}\n")] if c.use else None
        where = lsp.CompletionItemLabelDetails(description=c.use) if c.use else None
        return lsp.CompletionItem(
            c.text.strip(" :=<-"), kind=KINDS[c.kind], detail=c.detail or None,
            documentation=self.shown(c.doc), insert_text=c.text, filter_text=c.text,
            sort_text=f"{number:04}", additional_text_edits=drawn_in, label_details=where,
        )  # fmt: skip

    def actions(self, document: Document, params: Any) -> Any:
        uri = params.text_document.uri
        start, end = (self.offset(document, p) for p in (params.range.start, params.range.end))
        return [
            lsp.CodeAction(
                a.title, lsp.CodeActionKind.QuickFix, [self.said(uri, document, a.diagnostic)],
                is_preferred=True,
                edit=lsp.WorkspaceEdit({uri: [lsp.TextEdit(self.range(a.span), a.text)]}),
            )
            for a in actions(document, start, end)
        ]  # fmt: skip

    def formatted(self, document: Document, _: Any) -> Any:
        text, _ = document.made.formatted
        if text is None or text == document.source.text:
            return None
        whole = Span(document.source, 0, len(document.source.text))
        return [lsp.TextEdit(self.range(whole), text)]
