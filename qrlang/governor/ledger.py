"""The ledger of a run: a line for each cycle, each carrying the hash of the one before.

A line is JSON with its keys sorted; its `hash` is the SHA-256 of the line without it. So a line
that was changed, taken out or put in shows, by anybody who has a SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

FIRST = "0" * 64  # what the first line follows


def seal(line: dict[str, Any], before: str) -> dict[str, Any]:
    """The line with the hash of the one before, and with its own."""
    bound = {**line, "before": before}
    return {**bound, "hash": digest(bound)}


def digest(line: dict[str, Any]) -> str:
    plain = {k: v for k, v in line.items() if k != "hash"}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def broken(texts: Iterable[str]) -> tuple[int, str] | None:
    """The first line that is not as it was written (counted from 1) and why; None if all are."""
    before = FIRST
    for number, text in enumerate(texts, 1):
        line = _read(text)
        if line is None or not isinstance(line.get("hash"), str):
            return number, "it cannot be read"
        if line.get("before") != before:
            return number, "it does not follow the line before: one was taken out, put in or moved"
        if digest(line) != line["hash"]:
            return number, "its text is not what its hash was made from: it was changed"
        before = line["hash"]
    return None


def ends_early(lines: Sequence[dict[str, Any]], updates: int) -> bool:
    """Whether cycles are missing at the end, which no hash shows, of a run of so many updates."""
    sky = next((x for x in lines if x.get("kind") == "sky"), None)
    last = max((int(x["update"]) for x in lines if x.get("kind") == "cycle"), default=0)
    return sky is None or last + (int(sky["bounds"]["cycle"]) if last else 1) <= updates


def read(texts: Iterable[str]) -> Iterator[dict[str, Any]]:
    for text in texts:
        line = _read(text)
        if line is None:
            return
        yield line


def _read(text: str) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None
