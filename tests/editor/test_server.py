"""`qrlc lsp` as an editor talks to it: a process of its own, and pygls' client on this side."""

import asyncio
import os
import re
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

    def change(self, path: Path, *changes: Any) -> None:
        """A text is all of it."""
        self.version += 1
        which = lsp.VersionedTextDocumentIdentifier(self.version + 1, path.as_uri())
        whole = lsp.TextDocumentContentChangeWholeDocument
        made = [whole(x) if isinstance(x, str) else x for x in changes]
        self.wire.text_document_did_change(lsp.DidChangeTextDocumentParams(which, made))

    async def messages(self) -> Any:
        return (await asyncio.wait_for(self.said.get(), 60)).diagnostics


@asynccontextmanager
async def editor(can: lsp.ClientCapabilities) -> AsyncIterator[Editor]:
    e = Editor()
    await e.wire.start_io(sys.executable, "-m", "qrlang", "lsp", env={**os.environ})
    try:
        await e.wire.initialize_async(lsp.InitializeParams(capabilities=can))
        e.wire.initialized(lsp.InitializedParams())
        yield e
    finally:
        await e.wire.shutdown_async(None)
        e.wire.exit(None)
        assert await e.wire._server.wait() == 0
        assert b"bug" not in await e.wire._server.stderr.read()
        await e.wire.stop()


def with_editor(
    script: Callable[[Editor], Awaitable[None]], can: lsp.ClientCapabilities | None = None
) -> None:
    async def run() -> None:
        async with editor(can or lsp.ClientCapabilities()) as e:
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
    """What is wrong in it is said where it is drawn in, and no longer once it is saved rightly; so
    is that it has gone."""
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
        beside.unlink()
        gone = lsp.FileEvent(beside.as_uri(), lsp.FileChangeType.Deleted)
        e.wire.workspace_did_change_watched_files(lsp.DidChangeWatchedFilesParams([gone]))
        (error,) = await e.messages()
        assert error.message.startswith("there is no file for `.mine.block`")

    with_editor(script)


def test_letter_by_letter(tmp_path: Path) -> None:
    """In places as the editor counts them; a form feed and a U+2028 end no line."""
    path = tmp_path / "typed.qrl"
    which = lsp.TextDocumentIdentifier(path.as_uri())
    text = "// \f 𝛼\u2028 𝛽\r\nconst a=2\r\nconst b=a"

    async def script(e: Editor) -> None:
        await e.open(path, "")
        line = column = 0
        for c in re.findall(r"\r\n|.", text):
            here = lsp.Position(line, column)
            change = lsp.TextDocumentContentChangePartial(lsp.Range(here, here), c)
            e.change(path, change)
            line, column = (line + 1, 0) if c == "\r\n" else (line, column + 1 + (c > "\uffff"))
        here = lsp.Position(1, 7)  # and two at once, of which the second is behind the first
        e.change(
            path,
            lsp.TextDocumentContentChangePartial(lsp.Range(here, here), "bc"),
            lsp.TextDocumentContentChangePartial(
                lsp.Range(lsp.Position(1, 9), lsp.Position(1, 99)), " = 30"
            ),
        )
        options = lsp.FormattingOptions(tab_size=2, insert_spaces=True)
        asked = lsp.DocumentFormattingParams(which, options)
        (edit,) = await e.wire.text_document_formatting_async(asked)
        assert edit.new_text.split("\n")[1:] == ["const abc = 30", "const b   = a", ""]
        assert edit.new_text.startswith("// \f 𝛼\u2028 𝛽\n")
        assert edit.range.end == lsp.Position(2, 9)

    with_editor(script)


def test_a_check_that_takes_long(tmp_path: Path) -> None:
    """What is asked meanwhile is answered from what is known; sizes are shown when it is done."""
    path = tmp_path / "long.qrl"
    which = lsp.TextDocumentIdentifier(path.as_uri())
    loop = "    for i in 0..6000 { rx(0.1*i) memory[0]\n      let _x = read z }\n    apply evolve"
    whole = lsp.Range(lsp.Position(0, 0), lsp.Position(99, 0))
    refresh: asyncio.Queue[Any] = asyncio.Queue()

    async def script(e: Editor) -> None:
        e.wire.feature(lsp.WORKSPACE_INLAY_HINT_REFRESH)(partial(refresh.put_nowait))
        opened = asyncio.create_task(e.open(path, TEXT.replace("    apply evolve", loop)))
        await asyncio.sleep(0)
        e.change(path, TEXT.replace("    apply evolve", loop + " "))
        found = await e.wire.text_document_inlay_hint_async(lsp.InlayHintParams(which, whole))
        assert not found and not opened.done()
        here = lsp.Position(4, 8)
        found = await e.wire.text_document_hover_async(lsp.HoverParams(which, here))
        assert "model QRNN" in found.contents.value and not opened.done()
        await opened
        await asyncio.wait_for(refresh.get(), 60)
        found = await e.wire.text_document_inlay_hint_async(lsp.InlayHintParams(which, whole))
        assert "36 → 64 → 48, relu" in [x.label for x in found]

    able = lsp.InlayHintWorkspaceClientCapabilities(refresh_support=True)
    with_editor(
        script, lsp.ClientCapabilities(workspace=lsp.WorkspaceClientCapabilities(inlay_hint=able))
    )


def test_what_editors_cannot_and_do_not(tmp_path: Path) -> None:
    """One that shows plain texts only; what is asked of texts that are not open."""
    path = tmp_path / "rows.qrl"
    here = lsp.Position(4, 8)

    async def script(e: Editor) -> None:
        for uri in (path.as_uri(), "untitled:Untitled-1"):
            which = lsp.TextDocumentIdentifier(uri)
            assert await e.wire.text_document_hover_async(lsp.HoverParams(which, here)) is None
        await e.open(path, TEXT)
        asked = lsp.HoverParams(lsp.TextDocumentIdentifier(path.as_uri()), here)
        found = await e.wire.text_document_hover_async(asked)
        assert found.contents.kind == lsp.MarkupKind.PlainText
        assert found.contents.value.startswith("model QRNN(") and "```" not in found.contents.value

    plain = lsp.HoverClientCapabilities(content_format=[lsp.MarkupKind.PlainText])
    about = lsp.TextDocumentClientCapabilities(hover=plain)
    with_editor(script, lsp.ClientCapabilities(text_document=about))


@pytest.mark.parametrize("missing", ["pygls", "pygls.lsp.server"])  # the latter: of pygls 1
def test_without_pygls(missing: str, tmp_path: Path) -> None:
    """What is missing is said."""
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nsys.modules[{missing!r}] = None\n", encoding="utf-8"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "qrlang", "lsp"],
        env={**os.environ, "PYTHONPATH": path}, input=b"", capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"error: the language server needs pygls 2" in done.stderr
    assert b"pip install 'qrlang[lsp]'" in done.stderr
