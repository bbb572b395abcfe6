"""`qrlc lsp`"""

from __future__ import annotations

import click

from qrlang.errors import UserError


@click.command("lsp")
def command() -> None:
    """Serve an editor, over standard input and output: the language server protocol.

    Messages while a program is written, what names are and where they come from, what fits, sizes
    that were inferred. An editor starts it: see docs/editors.md.
    """
    try:
        from qrlang.editor.server import Server
    except ModuleNotFoundError as why:  # also of pygls 1, which has its server elsewhere
        if str(why.name).partition(".")[0] not in ("pygls", "lsprotocol"):
            raise
        raise UserError("the language server needs pygls 2", "pip install 'qrlang[lsp]'") from why
    Server().start()
