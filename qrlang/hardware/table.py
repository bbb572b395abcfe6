"""Runs on devices side by side, each beside what would have come out without errors."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qrlang.hardware.device import DeviceError


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    loop: str
    shots: int
    mitigate: str
    sequences: int
    value: float
    exact: float | None  # of the same sequences
    error: float | None  # rms, of the last readouts
    executions: int

    def cells(self, metric: str) -> list[str]:
        return [
            self.name, self.loop, str(self.shots) if self.shots else "exact", self.mitigate or "-",
            str(self.sequences), shown(metric, self.value),
            "-" if self.exact is None else shown(metric, self.exact),
            "-" if self.error is None else f"{self.error:.3g}",
            f"{self.executions:,}" if self.executions else "-",
        ]  # fmt: skip


def is_device(path: str) -> bool:
    """Whether a folder holds what `qrlc run` has left."""
    return (Path(path) / "outputs.npz").is_file() and (Path(path) / "result.json").is_file()


def rows(paths: Iterable[str], metric: str | None) -> tuple[str, list[Row]]:
    """Of runs on devices; a training run counts as its model on the simulator."""
    pages = [(p, _page(p)) for p in paths]
    first = next(page for p, page in pages if is_device(p))
    wanted = metric or next(iter(first["figures"]), "")
    return wanted, [_row(p, page, wanted) for p, page in pages]


def _page(path: str) -> dict[str, Any]:
    try:
        found = json.loads((Path(path) / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DeviceError(f"'{path}' is not finished",
                          "go on with it: the same command with --resume") from None  # fmt: skip
    return dict(found)


def _row(path: str, page: dict[str, Any], metric: str) -> Row:
    figure = page["figures"].get(metric)
    if figure is None:
        raise DeviceError(f"'{path}' has no {metric}",
                          f"it has {', '.join(page['figures']) or 'none'}: --metric")  # fmt: skip
    if "device" not in page:
        return Row(f"{page['model']}, {page['split']} split", "simulator", 0, "",
                   page["sequences"], figure["value"], None, None, 0)  # fmt: skip
    name = page["device"]
    if page.get("noise") and page["noise"] not in name:
        name += f", noise {page['noise']}"
    error = page.get("error") or [None]
    exact = page.get("exact", {}).get(metric)
    return Row(name, page["loop"], page["shots"], page.get("mitigate", ""), page["sequences"],
               figure, exact, error[-1], page["executions"])  # fmt: skip


def shown(metric: str, value: float) -> str:
    return f"{100 * value:.2f} %" if metric == "accuracy" else f"{value:.4g}"


def cells(metric: str, found: list[Row]) -> list[list[str]]:
    head = ["device", "loop", "shots", "mitigation", "sequences", metric, "exact", "rms error",
            "executions"]  # fmt: skip
    return [head, *(row.cells(metric) for row in found)]


def data(found: list[Row]) -> list[dict[str, Any]]:
    return [asdict(row) for row in found]
