"""The language server protocol: texts as an editor writes them, and when they are looked at."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Any

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, lsp_method
from pygls.uris import to_fs_path

from qrlang.editor.answers import Answer, Answers
from qrlang.editor.document import Document
from qrlang.version import VERSION

PAUSE = 0.2  # seconds without a key before messages are said
PATIENCE = 0.3  # for a check: what is asked is answered from what is known by then
CHECKED = (  # hangs on what a check finds
    lsp.TEXT_DOCUMENT_HOVER,
    lsp.TEXT_DOCUMENT_INLAY_HINT,
    lsp.TEXT_DOCUMENT_COMPLETION,
    lsp.TEXT_DOCUMENT_CODE_ACTION,
)


class Protocol(LanguageServerProtocol):  # type: ignore[misc]
    """Texts are kept here alone: pygls' own copy would take a form feed for the end of a line, and
    move the places of changes to there. It would keep something of each change for ever too."""

    @lsp_method(lsp.TEXT_DOCUMENT_DID_CHANGE)  # type: ignore[untyped-decorator]
    def lsp_text_document__did_change(self, params: Any) -> Any:
        self.fm.features[lsp.TEXT_DOCUMENT_DID_CHANGE](params)


class Text:
    """One version of a text that is open."""

    def __init__(self, raw: str, version: int | None, document: Document) -> None:
        self.raw = raw
        self.version = version
        self.document = document
        self.check: asyncio.Task[None] | None = None  # once it has been asked for
        self.pause: asyncio.Task[None] | None = None
        self.early = False  # something was answered before all was known


class Server:
    """Each answer is for one version of a text."""

    def __init__(self) -> None:
        self.wire: Any = LanguageServer("qrlang", VERSION, protocol_cls=Protocol)
        self.texts: dict[str, Text] = {}
        self.checking = asyncio.Lock()
        self.answers = Answers(self.wire)
        said: dict[str, Any] = {
            lsp.TEXT_DOCUMENT_DID_OPEN: self.opened,
            lsp.TEXT_DOCUMENT_DID_CHANGE: self.changed,
            lsp.TEXT_DOCUMENT_DID_SAVE: self.saved,
            lsp.TEXT_DOCUMENT_DID_CLOSE: self.closed,
            lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES: self.saved,
        }
        for name, hear in said.items():
            self.wire.feature(name)(partial(hear))
        for name, (answer, options) in self.answers.all().items():
            self.wire.feature(name, options)(partial(self.answer, answer, name in CHECKED))

    def start(self) -> None:
        """Until the editor says that it is over. The output is its: pygls closes it."""
        sys.stdout.flush()
        self.wire.start_io(stdout=os.fdopen(os.dup(sys.stdout.fileno()), "wb"))

    async def answer(self, answer: Answer, checked: bool, params: Any) -> Any:
        """Of a text as it was when that was asked; nothing of one that is not open."""
        text = self.texts.get(params.text_document.uri)
        if text is None:
            return None
        if checked:
            _, waiting = await asyncio.wait([self.check(text)], timeout=PATIENCE)
            text.early |= bool(waiting)
        return answer(text.document, params)

    # --- texts as they change, checked when there is a pause ---

    async def opened(self, params: Any) -> None:
        it = params.text_document
        self.set(it.uri, it.text, it.version)
        await self.publish(it.uri)

    def changed(self, params: Any) -> None:
        uri = params.text_document.uri
        if uri in self.texts:
            raw = self.answers.places.changed(self.texts[uri].raw, params.content_changes)
            text = self.set(uri, raw, params.text_document.version)
            text.pause = asyncio.create_task(self.paused(uri, text))

    async def paused(self, uri: str, text: Text) -> None:
        await asyncio.sleep(PAUSE)
        if self.texts.get(uri) is text:
            await self.publish(uri)

    async def saved(self, _: Any) -> None:
        """Others may draw on it: all are read again."""
        for uri, text in list(self.texts.items()):
            self.set(uri, text.raw, text.version)
        for uri in list(self.texts):
            await self.publish(uri)

    def closed(self, params: Any) -> None:
        uri = params.text_document.uri
        self.texts.pop(uri, None)
        nothing = lsp.PublishDiagnosticsParams(uri, [])
        self.wire.text_document_publish_diagnostics(nothing)

    def set(self, uri: str, raw: str, version: int | None) -> Text:
        known = self.texts.get(uri)
        before = known.document if known is not None else None
        made = Text(raw, version, Document(name_of(uri), raw, before, aside=True))
        self.texts[uri] = made
        return made

    def check(self, text: Text) -> asyncio.Task[None]:
        """One after the other, each once; not one of a text that is another by then."""

        async def check() -> None:
            async with self.checking:
                if text in self.texts.values():
                    await _aside(text.document.check)

        if text.check is None:
            text.check = asyncio.create_task(check())
        return text.check

    async def publish(self, uri: str) -> None:
        text = self.texts.get(uri)
        if text is None:
            return
        await self.check(text)
        if self.texts.get(uri) is text:
            said = [self.answers.said(uri, text.document, d) for d in text.document.diagnostics]
            self.wire.text_document_publish_diagnostics(
                lsp.PublishDiagnosticsParams(uri, said, text.version)
            )
            can = self.wire.client_capabilities.workspace
            if text.early and can and can.inlay_hint and can.inlay_hint.refresh_support:
                await self.wire.workspace_inlay_hint_refresh_async(None)


def name_of(uri: str) -> str:
    """What messages call a text: its path, or what is not saved yet."""
    path: str | None = to_fs_path(uri) if uri.startswith("file:") else None
    return path or "<new>"


def _aside(work: Callable[[], None]) -> asyncio.Future[None]:
    """In a thread that nobody waits for when the editor has gone."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def run() -> None:
        why: BaseException | None = None
        try:
            work()
        except Exception as error:
            why = error
        with suppress(RuntimeError):  # the loop is over
            loop.call_soon_threadsafe(end, why)

    def end(why: BaseException | None) -> None:
        if not done.done():
            done.set_result(None) if why is None else done.set_exception(why)

    Thread(target=run, daemon=True).start()
    return done
