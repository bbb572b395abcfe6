"""The ledger for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

_MOST = 24  # cycles that are listed: the ends of a long run, and each change


def text(lines: Sequence[dict[str, Any]]) -> str:
    return "".join(f"{line}\n" for line in _lines(lines))


def _lines(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    for line in lines:
        if line["kind"] == "sky":
            bands = ", ".join(f"{k} {v:.3g}" for k, v in line["bands"].items())
            yield f"sky: {'calm' if line['calm'] else 'not calm'} ({bands})"
        elif line["kind"] == "override":
            # In one line, whatever somebody wrote: it must not look like lines of the ledger.
            yield f"started all the same: {' '.join(str(line['reason']).split())}"
    cycles = [x for x in lines if x["kind"] == "cycle"]
    if not cycles:
        yield "no cycle has passed"
        return
    yield ""
    yield f"{'update':>8}  {'action space':>12}  {'entropy':>8}  {'growth':>8}  {'burned':>8}"
    last = -1
    for k in _shown(cycles):
        if k > last + 1:
            yield f"{'…':>8}"
        c, last = cycles[k], k
        yield (
            f"{c['update']:>8}  {c['action']:>12.4f}  {c['entropy']:>8.3f}  {c['growth']:>8.3f}  "
            f"{c['burned_in_window']:>8.3f}" + ("  frozen" if c["frozen"] else "")
        )
    yield ""


def _shown(cycles: Sequence[dict[str, Any]]) -> list[int]:
    if len(cycles) <= _MOST:
        return list(range(len(cycles)))
    ends = {*range(_MOST // 3), *range(len(cycles) - _MOST // 3, len(cycles))}
    turns = [k for k in range(1, len(cycles)) if cycles[k]["frozen"] != cycles[k - 1]["frozen"]]
    return sorted(ends | set(turns[: _MOST // 3]))
