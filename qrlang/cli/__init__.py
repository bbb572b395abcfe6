"""The command `qrlc`. Only this package prints; only it knows about exit codes."""

from qrlang.cli.main import main

__all__ = ["main"]
