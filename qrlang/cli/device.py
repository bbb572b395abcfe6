"""What `run` and `train` share: options of a quantum device, and leave to spend."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

LIMITS = ("max_shots", "max_cost", "price_task", "price_shot", "price_second")

_OPTIONS = (
    click.option("--noise", metavar="X", default="",
                 help="For a simulator: a device by name, or a gate's error, as 0.01."),
    click.option("--level", type=click.IntRange(0, 3), default=2, show_default=True,
                 help="How hard the transpiler tries."),
    click.option("--mitigate", metavar="KINDS", default="",
                 help="Less error for more circuits: readout, dd, twirl, zne."),
    click.option("--dry-run", is_flag=True, help="Say what a device would cost, and stop."),
    click.option("--max-shots", type=click.IntRange(1), metavar="N",
                 help="Ask before more executions on a device than this."),
    click.option("--max-cost", type=click.FloatRange(0), metavar="X",
                 help="Ask before a device costs more than this."),
    click.option("--price-task", type=click.FloatRange(0), default=0.0, help="Price of a job."),
    click.option("--price-shot", type=click.FloatRange(0), default=0.0,
                 help="Price of an execution."),
    click.option("--price-second", type=click.FloatRange(0), default=0.0,
                 help="Price of a second of the device."),
    click.option("--yes", is_flag=True, help="Do not ask."),
)  # fmt: skip


def options(f: F) -> F:
    for option in reversed(_OPTIONS):
        f = option(f)
    return f


def allowed(over: list[str], yes: bool) -> None:
    """Nobody's money is spent without a word."""
    if not over or yes:
        return
    from qrlang.hardware.device import DeviceError

    message = "; ".join(over)
    if not sys.stdin.isatty():
        raise DeviceError(message, "nothing was sent: say a limit that is enough, or --yes")
    click.confirm(f"{message}. Go on?", abort=True, err=True)
