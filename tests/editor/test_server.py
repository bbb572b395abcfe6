"""`qrlc lsp` as an editor talks to it: a process of its own, and pygls' client on this side."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pygls")
from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "examples" / "qrnn" / "rows.qrl").read_text(encoding="utf-8")


class Editor:
    def __init__(self) -> None:
        self.wire: Any = LanguageClient("test", "1")
        self.said: asyncio.Queue[Any] = asyncio.Queue()
        self.version = 0
        self.wire.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(partial(self.said.put_nowait))

    async def open(self, path: Path, text: str) -> Any:
        item = lsp.TextDocumentItem(path.as_uri(), "qrl", 1, text)
        self.wire.text_document_did_open(lsp.DidOpenTextDocumentParams(item))
        return await self.messages()

    def change(self, path: Path, text: str) -> None:
        self.version += 1
        which = lsp.VersionedTextDocumentIdentifier(self.version + 1, path.as_uri())
        whole = lsp.TextDocumentContentChangeWholeDocument(text)
        self.wire.text_document_did_change(lsp.DidChangeTextDocumentParams(which, [whole]))

    async def messages(self) -> Any:
        return (await asyncio.wait_for(self.said.get(), 60)).diagnostics


@asynccontextmanager
async def editor() -> AsyncIterator[Editor]:
    e = Editor()
    await e.wire.start_io(sys.executable, "-m", "qrlang", "lsp", env={**os.environ})
    try:
        given = lsp.InitializeParams(capabilities=lsp.ClientCapabilities())
        await e.wire.initialize_async(given)
        e.wire.initialized(lsp.InitializedParams())
        yield e
    finally:
        await e.wire.shutdown_async(None)
        e.wire.exit(None)
        await e.wire.stop()


def with_editor(script: Callable[[Editor], Awaitable[None]]) -> None:
    async def run() -> None:
        async with editor() as e:
            await script(e)

    asyncio.run(run())


def test_a_session(tmp_path: Path) -> None:
    path = tmp_path / "rows.qrl"
    which = lsp.TextDocumentIdentifier(path.as_uri())

    def place(text: str, of: str, beyond: int = 1) -> Any:
        before = text[: text.index(of) + beyond]
        line = before.rsplit("\n", 1)[-1]
        return lsp.Position(before.count("\n"), len(line.encode("utf-16-le")) // 2)

    async def script(e: Editor) -> None:
        assert not await e.open(path, TEXT)
        # Letters that take two units of UTF-16 stand before what is meant.
        strange = TEXT.replace("  input  rows:", "/* 𝛼𝛽 */  input  rows:")
        wrong = strange.replace("(hidden, relu)", "(hiden, relu)").replace("\n", "\r\n")
        e.change(path, wrong[:-40])
        e.change(path, wrong)  # before the first is looked at
        (error,) = await e.messages()
        assert error.code == "E0201" and "did you mean `hidden`?" in error.message
        assert error.severity == lsp.DiagnosticSeverity.Error
        (action,) = await e.wire.text_document_code_action_async(
            lsp.CodeActionParams(which, error.range, lsp.CodeActionContext([error]))
        )
        (edit,) = action.edit.changes[path.as_uri()]
        assert (action.title, edit.new_text) == ("Write `hidden` for `hiden`", "hidden")
        assert edit.range == error.range

        e.change(path, strange)
        assert not await e.messages()
        here = place(strange, "𝛽 */  input  rows", 17)
        found = await e.wire.text_document_hover_async(lsp.HoverParams(which, here))
        assert "seq[real[28]]" in found.contents.value and found.range.end == here
        at = place(strange, "= su2_ring", 4)
        found = await e.wire.text_document_definition_async(lsp.DefinitionParams(which, at))
        assert found.uri.endswith("/ansatz.qrl")
        at = place(strange, "memory[n]")
        found = await e.wire.text_document_rename_async(lsp.RenameParams(which, at, "store"))
        assert len(found.changes[path.as_uri()]) == 3
        at = place(strange, "su2_ring(")
        with pytest.raises(JsonRpcException, match=r"is declared in std/ansatz.qrl"):
            await e.wire.text_document_rename_async(lsp.RenameParams(which, at, "mine"))
        whole = lsp.Range(lsp.Position(0, 0), lsp.Position(99, 0))
        found = await e.wire.text_document_inlay_hint_async(lsp.InlayHintParams(which, whole))
        assert "36 → 64 → 48, relu" in [x.label for x in found]
        found = await e.wire.text_document_document_symbol_async(lsp.DocumentSymbolParams(which))
        assert [x.name for x in found] == ["QRNN", "QRNN"] and len(found[0].children) == 8
        at = place(strange, "apply ", 6)
        found = await e.wire.text_document_completion_async(lsp.CompletionParams(which, at))
        (ring,) = (x for x in found if x.label == "ry_ring")
        assert [x.new_text for x in ring.additional_text_edits] == ["use std.ansatz.ry_ring\n"]
        at = place(strange, "mlp(hidden, ", 12)
        found = await e.wire.text_document_signature_help_async(lsp.SignatureHelpParams(which, at))
        assert found.active_parameter == 1
        options = lsp.FormattingOptions(tab_size=2, insert_spaces=True)
        asked = lsp.DocumentFormattingParams(which, options)
        (edit,) = await e.wire.text_document_formatting_async(asked)
        assert "𝛼𝛽" in edit.new_text and edit.new_text != strange

        e.wire.text_document_did_close(lsp.DidCloseTextDocumentParams(which))
        assert not await e.messages()

    with_editor(script)


def test_a_file_that_others_draw_on(tmp_path: Path) -> None:
    """What is wrong in it is said where it is drawn in, and no longer once it is saved rightly."""
    beside, path = tmp_path / "mine.qrl", tmp_path / "page.qrl"
    right = "ansatz block on q: qubit[n] { for i in 0..n { h q[i] } }\n"
    beside.write_text(right.replace("h q[i]", "hh q[i]"), encoding="utf-8")
    text = "use .mine.block\n\nansatz twice on q: qubit[n] { apply block to q }\n"

    async def script(e: Editor) -> None:
        (error,) = await e.open(path, text)
        assert error.code == "E0209" and error.message.startswith(f"{beside}:1:47: there is no")
        assert error.range.start.line == 0
        (place,) = error.related_information
        assert place.location.uri == beside.as_uri() and place.location.range.start.character == 46
        beside.write_text(right, encoding="utf-8")
        saved = lsp.DidSaveTextDocumentParams(lsp.TextDocumentIdentifier(beside.as_uri()))
        e.wire.text_document_did_save(saved)
        assert not await e.messages()

    with_editor(script)


def test_without_pygls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is missing is said."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u, sys\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'pygls' else find(name, *a)\n",
        encoding="utf-8",
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "qrlang", "lsp"],
        env={**os.environ, "PYTHONPATH": path}, input=b"", capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"error: the language server needs pygls" in done.stderr
    assert b"pip install 'qrlang[lsp]'" in done.stderr
