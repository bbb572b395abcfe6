"""From questions to jobs: circuits that are the same are one, and a job keeps to the limits."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from qrlang.hardware.budget import Budget
from qrlang.hardware.checkpoint import Journal, Name
from qrlang.hardware.device import (
    Bits,
    Device,
    DeviceError,
    Floats,
    JobLost,
    Limits,
    Partly,
    SendsOnce,
    Template,
    Ticket,
    Usage,
    Work,
    spaced,
)
from qrlang.hardware.mitigation import (
    NONE,
    Confusion,
    Mitigation,
    all_places,
    calibrations,
    extrapolated,
    misread,
    places_of,
    recorded,
)
from qrlang.hardware.pure import pure
from qrlang.hardware.questions import Answers, Ask
from qrlang.hardware.readings import (
    Distribution,
    Patterns,
    Quantity,
    Share,
    Word,
    evaluate,
    made_up,
    settings,
)
from qrlang.hardware.tape import Tree


@dataclass(frozen=True, slots=True)
class Row:
    """Where an answer belongs: which question, and which of its quantities."""

    ask: int
    picked: tuple[int, ...]
    angles: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """Rows of one template that are asked for the same quantities."""

    template: Template
    shots: int  # 0: exactly
    quantities: tuple[Quantity, ...]
    rows: list[Row]
    scale: int = 0  # which of the noise scales

    @property
    def circuits(self) -> int:
        return len(self.rows) * self.template.twirl

    def work(self) -> Work:
        table = np.array([r.angles for r in self.rows], float)
        table = table.reshape(len(self.rows), self.template.parameters)
        return Work(self.template, table, self.shots)


@dataclass(slots=True)
class Counts:
    """What has been, or would be, done."""

    rounds: int = 0
    jobs: int = 0
    circuits: int = 0
    executions: int = 0
    settings: int = 0  # different circuits, apart from angles
    fetched: int = 0  # jobs whose answer was there already
    seconds: float = 0.0  # that the device is busy, where it can be foreseen
    read: int = 0  # jobs that measure how qubits are misread

    @property
    def numbered(self) -> int:
        """Of the next job that is known by its number: all others."""
        return self.jobs - self.read


@dataclass(frozen=True, slots=True)
class Progress:
    round: int
    job: int
    jobs: int  # in this round
    circuits: int


Watch = Callable[[Progress], None]
SeeJob = Callable[[int, Sequence[Task]], None]


def _at_no_noise(values: list[Floats], wanted: Mitigation, shots: int, q: Quantity) -> Floats:
    """From a quantity's values at all scales to none."""
    if len(values) == 1:
        return values[0]
    if isinstance(q, Distribution):
        return extrapolated(values, wanted, shots, False)
    if isinstance(q, Patterns):  # not every scale has seen every pattern
        tables = [v.reshape(-1, len(q.bits) + 1) for v in values]
        seen = [{tuple(row[:-1]): row[-1] for row in table} for table in tables]
        every = sorted({pattern for one in seen for pattern in one})
        shares = [np.array([one.get(pattern, 0.0) for pattern in every]) for one in seen]
        found = extrapolated(shares, wanted, shots, False)
        return np.concatenate([np.array(every, float), found[:, None]], axis=1).ravel()
    found = extrapolated(values, wanted, shots, True)
    return np.clip(found, 0.0, None) if isinstance(q, Share) else found


@dataclass
class Desk:
    """Sends jobs to a device and brings the answers back."""

    device: Device
    tree: Tree
    shots: int
    seed: int = 0
    journal: Journal = field(default_factory=Journal)
    watch: Watch | None = None
    see: SeeJob | None = None
    rehearsal: bool = False  # nothing is sent, and every answer is made up
    budget: Budget | None = None
    mitigation: Mitigation = NONE
    counts: Counts = field(default_factory=Counts)
    confusions: dict[tuple[int, ...], Confusion] = field(
        default_factory=dict
    )  # by places, in order

    def ask(self, asks: Sequence[Ask]) -> Answers:
        """One round: as few jobs as the device's limits allow."""
        tasks = list(self._tasks(asks))
        self.counts.rounds += 1
        self.counts.settings += len({id(t.template) for t in tasks})
        scales = len(self.mitigation.scales)
        every = [[[np.empty(0)] * scales for _ in a.quantities] for a in asks]
        jobs = list(split(tasks, self.device.limits))
        first = self.counts.numbered
        known = [self.journal.answer(first + k, _digest(job)) for k, job in enumerate(jobs)]
        self._calibrate(tasks, all(answer is not None for answer in known))
        for k, job in enumerate(jobs):
            found = self._job(job)
            rows = [(row, task.scale) for task in job for row in task.rows]
            for (row, scale), values in zip(rows, found, strict=True):
                for i, value in zip(row.picked, values, strict=True):
                    every[row.ask][i][scale] = value
            if self.watch:
                self.watch(Progress(self.counts.rounds, k + 1, len(jobs), self.counts.circuits))
        return [
            [
                _at_no_noise(values, self.mitigation, ask.shots or self.shots, q)
                for values, q in zip(mine, ask.quantities, strict=True)
            ]
            for mine, ask in zip(every, asks, strict=True)
        ]

    def _calibrate(self, tasks: Sequence[Task], known: bool) -> None:
        """How qubits are misread that were not read before: two circuits for each set of them,
        in whatever order circuits have them. `known`: all answers of the round are there already,
        so that nothing is paid for it."""
        if not self.mitigation.readout or not tasks:
            return
        found_in = (all_places(self.device, t.template) for t in tasks)
        fresh = [places for places in dict.fromkeys(found_in) if places not in self.confusions]
        made, shots = [], max(t.shots for t in tasks)
        # Not by its number: a device that was calibrated anew since may be read elsewhere, and in
        # another round, with other shots.
        sets = " | ".join(" ".join(map(str, places)) for places in fresh)
        name = f"read {sets} {shots}"
        if not fresh or (known and not self.journal.begun(f"{name} 0")):
            return
        for places in fresh:
            words = tuple(Word(((q, "Z"),)) for q in range(len(places)))
            made += [
                Task(template, shots, words, [Row(-1, (), ())])
                for template in calibrations(len(places), places)
            ]
        self.counts.settings += len(made)
        found: list[Floats] = []
        for k, job in enumerate(split(made, self.device.limits)):
            found += [np.concatenate(v) for v in self._job(job, f"{name} {k}")]
        for k, places in enumerate(fresh):
            up, down = (1 - found[2 * k]) / 2, (1 + found[2 * k + 1]) / 2
            if self.rehearsal:
                up = down = np.zeros(len(places))
            self.confusions[places] = misread(up, down, places)

    def _tasks(self, asks: Sequence[Ask]) -> Iterator[Task]:
        found: dict[Any, Task] = {}
        grouped: dict[tuple[Quantity, ...], Any] = {}
        for i, ask in enumerate(asks):
            if ask.quantities not in grouped:
                grouped[ask.quantities] = settings(ask.quantities)
            for basis, picked in grouped[ask.quantities]:
                quantities = tuple(ask.quantities[p] for p in picked)
                twirl = self.mitigation.twirl
                shots = -(-(ask.shots or self.shots) // twirl) * twirl  # as many for each circuit
                for scale, fold in enumerate(self.mitigation.scales):
                    template = self.tree.template(
                        ask.node, basis, fold, twirl, self.mitigation.decouple
                    )
                    key = (template, shots, quantities)
                    if key not in found:
                        found[key] = Task(template, shots, quantities, [], scale)
                    found[key].rows.append(Row(i, tuple(picked), ask.angles))
        yield from found.values()

    def _job(self, job: Sequence[Task], name: Name | None = None) -> list[list[Floats]]:
        if name is None:
            name = self.counts.numbered
        else:
            self.counts.read += 1
        self.counts.jobs += 1
        for t in job:
            self.counts.circuits += t.circuits
            self.counts.executions += len(t.rows) * t.shots
        if self.see:
            self.see(self.counts.rounds, job)
        if self.rehearsal:
            return [[made_up(q) for q in t.quantities] for t in job for _ in t.rows]
        self.counts.seconds += self._busy(job)
        digest = _digest(job)
        known = self.journal.answer(name, digest)
        if known is not None:
            self.counts.fetched += 1
            return [[np.array(q) for q in row] for row in known]
        self._afford()
        found = self._answer(name, job)
        self.journal.answered(name, [[q.tolist() for q in row] for row in found], digest)
        return found

    def _busy(self, job: Sequence[Task]) -> float:
        usage: Usage | None = getattr(self.device, "usage", None)
        if usage is None:
            return 0.0
        each = (usage.shot + (self.device.footprint(t.template).seconds or 0.0) for t in job)
        return usage.job + sum(len(t.rows) * t.shots * s for t, s in zip(job, each, strict=True))

    def _afford(self) -> None:
        if self.budget and (over := self.budget.over(self.counts)):
            raise DeviceError(
                f"with job {self.counts.jobs}, {'; '.join(over)}: it has not been sent",
                "go on with --resume and a higher limit: what is done is not paid for again",
            )

    def _answer(self, name: Name, job: Sequence[Task]) -> list[list[Floats]]:
        for t in job:
            limit = self.device.limits.qubits
            if limit and t.template.qubits > limit:
                raise DeviceError(
                    f"a circuit has {t.template.qubits} qubits, `{self.device.name}` has {limit}"
                )
        works = {i: t.work() for i, t in enumerate(job) if t.shots}
        bits: dict[int, Bits] = {}
        if works:
            sent = list(works.values())
            bits = dict(zip(works, self._bits(name, sent), strict=True))
        found: list[list[Floats]] = []
        for i, t in enumerate(job):
            if t.shots:
                found += evaluate(t.quantities, bits[i], None, t.template.qubits,
                                  confusion=self._confusion(t.template))  # fmt: skip
            else:
                found += self._exactly(t)
        return found

    def _bits(self, name: Name, works: list[Work]) -> list[Bits]:
        """Of a job that an earlier process has sent, or of one that is sent now."""
        if known := self.journal.tickets.get(name):
            try:
                return self.device.reopen(known, works).result()
            except Partly as found:  # one more task of this job runs the rest
                more = self._sent(name, found.rest, f"-{len(known.split())}")
                self.journal.sent(name, f"{known} {more.id}")
                return self.device.reopen(self.journal.tickets[name], works).result()
            except JobLost:  # there is nothing to be fetched
                self.journal.lost(name)
        ticket = self._sent(name, works)
        self.journal.sent(name, ticket.id)
        return ticket.result()

    def _sent(self, name: Name, works: list[Work], part: str = "") -> Ticket:
        seed = spaced(self.seed, name if isinstance(name, int) else zlib.crc32(name.encode()))
        if not self.device.capabilities.tokens:
            return self.device.submit(works, seed)
        token, again = self.journal.token(name)
        return cast(SendsOnce, self.device).submit_once(works, seed, token + part, again)

    def _confusion(self, template: Template) -> Confusion | None:
        """None for what is measured in order to know it."""
        if not self.mitigation.readout or template.places:
            return None
        every = all_places(self.device, template)
        whole = self.confusions[every]
        order = [every.index(place) for place in places_of(self.device, template)]
        known = dict(
            zip(every, zip(whole.up.tolist(), whole.down.tolist(), strict=True), strict=True)
        )
        inner = {bit: known[place] for bit, place in recorded(self.device, template).items()}
        return Confusion(whole.up[order], whole.down[order], inner)

    def _exactly(self, task: Task) -> list[list[Floats]]:
        changed = pure(task.template)
        chances = self.device.probabilities(changed.template, task.work().angles)
        n = changed.template.qubits
        states = np.arange(1 << n)
        columns = [(states >> (n - 1 - q) & 1).astype(np.uint8)
                   for q in (*changed.qubits, *changed.bits)]  # fmt: skip
        table = np.stack(columns, axis=1)[None]
        return evaluate(task.quantities, table, chances, task.template.qubits,
                        confusion=self._confusion(task.template))  # fmt: skip


def _digest(job: Sequence[Task]) -> int:
    """Of what is asked: the same question after a restart, though not always to the last bit."""
    found = 0
    for task in job:
        work = task.work()
        t = task.template
        head = f"{t.qubits} {len(t.steps)} {t.fold} {task.shots}"
        head += f" {t.twirl}" * (t.twirl > 1) + " dd" * t.decouple
        found = zlib.crc32(head.encode() + (np.round(work.angles, 5) + 0.0).tobytes(), found)
    return found


def split(tasks: Sequence[Task], limits: Limits) -> Iterator[list[Task]]:
    """Jobs that a device accepts, filled in order."""
    for task in tasks:
        if limits.shots and task.shots > limits.shots * task.template.twirl:
            raise DeviceError(
                f"{task.shots} shots are more than the {limits.shots} that the device takes",
                f"take --shots {limits.shots} or fewer",
            )
        if 0 < limits.circuits < task.template.twirl:
            raise DeviceError(
                f"{task.template.twirl} circuits share the shots, and a job holds at most "
                f"{limits.circuits}",
                "leave out --mitigate twirl, or say how many: twirl:2",
            )
        if limits.executions and task.shots > limits.executions:
            raise DeviceError(f"a job holds at most {limits.executions} executions")
    groups: dict[int, list[Task]] = {}
    for task in tasks:
        groups.setdefault(task.shots if limits.alike else 0, []).append(task)
    for group in groups.values():
        yield from _filled(group, limits)


def _filled(tasks: Sequence[Task], limits: Limits) -> Iterator[list[Task]]:
    job: list[Task] = []
    circuits = executions = 0
    for task in tasks:
        rows = task.rows
        while rows:
            room = len(rows)
            if limits.circuits:
                room = min(room, (limits.circuits - circuits) // task.template.twirl)
            if limits.executions and task.shots:
                room = min(room, (limits.executions - executions) // task.shots)
            if room <= 0:
                yield job
                job, circuits, executions = [], 0, 0
                continue
            part = Task(task.template, task.shots, task.quantities, rows[:room], task.scale)
            job.append(part)
            circuits += part.circuits
            executions += room * task.shots
            rows = rows[room:]
    if job:
        yield job
