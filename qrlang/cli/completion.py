"""`qrlc completion`"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print a shell's completion script.

    \b
      bash   eval "$(qrlc completion bash)"      in ~/.bashrc
      zsh    eval "$(qrlc completion zsh)"       in ~/.zshrc
      fish   qrlc completion fish | source       in ~/.config/fish/config.fish
    """
    from qrlang.cli.main import qrlc

    kind = get_completion_class(shell)
    assert kind is not None  # click has all three
    click.echo(kind(qrlc, {}, "qrlc", "_QRLC_COMPLETE").source())
