"""Commands are imported when they are used, so that `check` starts at once."""

from __future__ import annotations

import importlib

import click

# Name -> what it does, in the order of `--help`. Each is `command` in the module of its name.
COMMANDS = {
    "check": "Say what is wrong with files.",
    "fmt": "Lay files out in the one style.",
    "compile": "Show a phase of the compiler, or write files for a target.",
    "inspect": "Say what a model is made of and what it costs.",
    "draw": "Draw circuits, as text or SVG; a run at any of its steps.",
    "train": "Train a model as its train block says.",
    "eval": "Say what a trained model is worth, with intervals.",
    "predict": "Say what a trained model answers to new data.",
    "generate": "Let a trained model go on by itself: series, texts.",
    "run": "Run a trained model on a quantum device.",
    "compare": "Compare runs: one table, one picture.",
    "ledger": "Read what the governor of a run saw, and whether it is as written.",
    "probe": "Look into a model: entanglement, gradients, noise, memory.",
    "scar": "Draw the strip that a run leaves.",
    "report": "Write down all of a run: gates, readouts, costs, figures.",
    "forget": "Take what has faded out of runs: traces, strips, readouts.",
    "museum": "Make a page of many runs that opens from disk.",
    "stdlib": "List the standard library, or show one thing in it.",
    "explain": "Explain a code such as E0301.",
    "new": "Begin a model.",
    "lsp": "Serve an editor while programs are written.",
    "targets": "List what models can be compiled to.",
    "completion": "Print a shell's completion script.",
}


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"qrlang.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from qrlang.diagnostics.words import suggestion

            ctx.fail(f"no command is called '{name}'" + suggestion(name, COMMANDS))
        return super().resolve_command(ctx, args)
