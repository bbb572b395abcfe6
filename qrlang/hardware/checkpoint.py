"""The journal of a run: what each job has answered, a line each, on the disk before the next one.

That is all a run has to keep: the host's part of a lane follows from its inputs and these numbers,
so a run that is begun again with its journal asks nothing twice. A job whose ticket is known is
fetched, not sent again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from qrlang.hardware.device import DeviceError

Answer = list[Any]  # for each row, its quantities, each a list of numbers


class Journal:
    def __init__(self, path: Path | None = None, about: dict[str, Any] | None = None) -> None:
        """With no path, nothing is kept. `about` says which run it is: another's is refused."""
        self.path = path
        self.answers: dict[int, Answer] = {}
        self.tickets: dict[int, str] = {}
        if path is None:
            return
        page = json.loads(json.dumps(about or {}))
        lines = _lines(path)
        if not lines:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("", encoding="utf-8")
            self._write({"run": page})
            return
        differs = [k for k in page if lines[0].get("run", {}).get(k) != page[k]]
        if differs:
            raise DeviceError(
                f"'{path}' belongs to another run: {', '.join(differs)} differ",
                "give the same file, data and options as then, or another folder: --out DIR",
            )
        for line in lines[1:]:
            if "answer" in line:
                self.answers[line["job"]] = line["answer"]
            else:
                self.tickets[line["job"]] = line["ticket"]

    def sent(self, job: int, ticket: str) -> None:
        if ticket:
            self.tickets[job] = ticket
            self._write({"job": job, "ticket": ticket})

    def answered(self, job: int, answer: Answer) -> None:
        self.answers[job] = answer
        self._write({"job": job, "answer": answer})

    def _write(self, line: dict[str, Any]) -> None:
        if self.path is None:
            return
        with open(self.path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def _lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines; what a crash has cut short is taken off, so that the next one begins cleanly."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    try:
        return [json.loads(line) for line in whole.splitlines()]
    except ValueError as error:
        raise DeviceError(f"'{path}' is damaged: {error}", "begin in another folder") from None
