"""`qrlc lsp`"""

from __future__ import annotations

from importlib.util import find_spec

import click

from qrlang.errors import UserError


@click.command("lsp")
def command() -> None:
    """Serve an editor, over standard input and output: the language server protocol.

    Messages while a program is written, what names are and where they come from, what fits, sizes
    that were inferred. An editor starts it: see docs/editors.md.
    """
    if find_spec("pygls") is None:
        raise UserError("the language server needs pygls", "pip install 'qrlang[lsp]'")
    from qrlang.editor.server import Server

    Server().start()
