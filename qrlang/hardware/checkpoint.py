"""The journal of a run: what each job has answered, a line each, on the disk before the next one.

That is all a run has to keep: the host's part of a lane follows from its inputs and these numbers,
so a run that is begun again with its journal asks nothing twice. A job whose ticket is known is
fetched, not sent again. Before a job goes to a device that knows jobs by a token, the token is
here: so a job is known even if this process ends before it hears of the ticket.
"""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

from qrlang.hardware.device import DeviceError
from qrlang.system.files import replace
from qrlang.system.lock import Lock

LONG = 1 << 24  # bytes of a journal that is worth making short

Name = int | str  # of a job: its number; what it is for, where others than those may come first
Answer = list[Any]  # for each row, its quantities, each a list of numbers


class Journal:
    def __init__(self, path: Path | None = None, about: dict[str, Any] | None = None) -> None:
        """With no path, nothing is kept. `about` says which run it is: another's is refused."""
        self.path = path
        self.answers: dict[Name, Answer] = {}
        self._of: dict[Name, int] = {}  # what was asked, in short
        self.tickets: dict[Name, str] = {}
        self.tokens: dict[Name, str] = {}
        if path is None:
            return
        self.lock = Lock(path.with_suffix(".lock"), "two at once would send the same jobs twice")
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
                self._of[line["job"]] = line.get("of", 0)
            elif "token" in line:
                self.tickets.pop(line["job"], None)
                self.tokens[line["job"]] = line["token"]
            else:
                self.tickets[line["job"]] = line["ticket"]

    def token(self, job: Name) -> tuple[str, bool]:
        """What a job is sent with, and whether it may have been sent before."""
        if job in self.tokens:
            return self.tokens[job], True
        self.tokens[job] = uuid.uuid4().hex
        self._write({"job": job, "token": self.tokens[job]})
        return self.tokens[job], False

    def begun(self, job: Name) -> bool:
        """It has been sent, perhaps."""
        return any(job in known for known in (self.answers, self.tickets, self.tokens))

    def lost(self, job: Name) -> None:
        """It has failed: the next one is another."""
        self.tickets.pop(job, None)
        self.tokens.pop(job, None)

    def sent(self, job: Name, ticket: str) -> None:
        if ticket:
            self.tickets[job] = ticket
            self._write({"job": job, "ticket": ticket})

    def answered(self, job: Name, answer: Answer, of: int = 0) -> None:
        if self.path is not None:
            self.answers[job], self._of[job] = answer, of
            self._write({"job": job, "of": of, "answer": answer})

    def answer(self, job: Name, of: int = 0) -> Answer | None:
        """What was answered, if it was asked the same."""
        if job not in self.answers:
            return None
        if of and self._of[job] and self._of[job] != of:
            raise DeviceError(
                f"'{self.path}' has an answer to job {job}, and it was asked something else",
                "begin in another folder: the run does not go the way that it went before",
            )
        return self.answers[job]

    def forget(self, before: int) -> None:
        """Numbered jobs that nobody will ask for again. A file that has grown is made short."""
        for job in [j for j in self.answers if isinstance(j, int) and j < before]:
            del self.answers[job]
        for known in (self.tickets, self.tokens):
            for job in [j for j in known if isinstance(j, int) and j < before]:
                del known[job]
        if self.path is None or self.path.stat().st_size < LONG:
            return
        head = self.path.read_bytes().splitlines(keepends=True)[:1]
        kept = [{"job": j, "of": self._of[j], "answer": a} for j, a in self.answers.items()]
        kept += [{"job": j, "token": t} for j, t in self.tokens.items()]
        kept += [{"job": j, "ticket": t} for j, t in self.tickets.items()]
        fresh = self.path.with_suffix(".new")
        with open(fresh, "wb") as stream:
            stream.writelines(head)
            stream.writelines(json.dumps(line).encode() + b"\n" for line in kept)
            stream.flush()
            os.fsync(stream.fileno())
        replace(fresh, self.path)

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
