"""Where `qrlc` begins and ends: the commands by name, and what becomes of every exception."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click

from qrlang.cli.exits import BUG, FINE, INTERRUPTED, PIPE, USAGE, WRONG, Wrong
from qrlang.cli.lazy import LazyGroup
from qrlang.errors import UserError
from qrlang.system.environment import WrongEnvironment
from qrlang.version import VERSION

_HELP = """A compiler for recurrent quantum models.

\b
  qrlc new mymodel              a model to begin with
  qrlc check mymodel.qrl        what is wrong with it
  qrlc inspect mymodel.qrl      what it will cost
  qrlc draw mymodel.qrl         its circuit

A file `-` is the standard input. Exit codes: 0 fine, 1 the program is wrong, 2 wrong use of the
command, 3 a governed run did not start, 70 a bug in qrlc.
"""


@click.group(
    cls=LazyGroup,
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION, "-V", "--version", prog_name="qrlc")
def qrlc() -> None:
    pass


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def run(args: Sequence[str]) -> int:
    """One command, as the shell would run it; returns the exit code."""
    try:
        with contextlib.ExitStack() as stack:
            _utf8(stack)
            _notes(stack)
            if "_QRLC_COMPLETE" in os.environ:
                qrlc.main(list(args), prog_name="qrlc")  # a shell asks for completions
            # Not `main`, which has exit codes of its own for a broken pipe.
            with qrlc.make_context("qrlc", list(args)) as context:
                qrlc.invoke(context)
            if sys.stdout is not None:  # closed from the beginning: `>&-`
                sys.stdout.flush()
        return FINE
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return USAGE
    except Wrong:
        return WRONG
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        _lose_output()
        return PIPE
    except (RecursionError, MemoryError) as error:
        what = "nests deeper" if isinstance(error, RecursionError) else "needs more memory"
        said = f": {error}" if isinstance(error, MemoryError) and str(error) else ""
        click.echo(f"error: the program {what} than qrlc can handle{said}", err=True)
        return WRONG
    except UserError as error:
        from qrlang.cli.printing import tell

        tell(error)
        return USAGE if isinstance(error, WrongEnvironment) else WRONG
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            where = f"'{error.filename}'" if error.filename else "the output"
            _lose_output()
            click.echo(f"error: cannot write {where}: {error.strerror}", err=True)
            return WRONG
        if said := _no_memory(error):
            from qrlang.cli.printing import tell

            tell(UserError(said, "take fewer sequences at once: --batch"))
            return WRONG
        from qrlang.cli.bug import page

        click.echo(page(error, args), err=True)
        return BUG


def _no_memory(error: Exception) -> str:
    """What torch says where a GPU, or the host, has no more memory for a tensor; else nothing."""
    text = " ".join(str(error).split())
    if type(error).__name__ == "OutOfMemoryError":
        return "the GPU has not enough memory: " + ". ".join(text.split(". ")[:3])
    at = text.find("DefaultCPUAllocator: ")
    return "" if at < 0 else text[at:].removeprefix("DefaultCPUAllocator: ")


def _lose_output() -> None:
    """Whoever read it has had enough, or it is full: nothing may be written there at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _notes(stack: contextlib.ExitStack) -> None:
    """Warnings of libraries in a line, each once, and not with a place in their code."""
    said: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in said:
            said.add(str(message))
            click.echo(f"note: {message}", err=True)

    stack.enter_context(warnings.catch_warnings())
    warnings.showwarning = show


def _utf8(stack: contextlib.ExitStack) -> None:
    """Programs, JSON and pages go to files and pipes as UTF-8, whatever the system is set to:
    `qrlc fmt - > new.qrl` must not lose a `θ`. A terminal that cannot show one shows `?`."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is None or stream.closed:
            continue
        before = {"encoding": stream.encoding, "errors": stream.errors}
        if stream.isatty():
            reconfigure(errors="replace")
        else:
            reconfigure(encoding="utf-8", errors="replace", newline="\n")
        stack.callback(reconfigure, **before)
