"""What the loop asks of a device. Everything vendor-specific is behind this.

A `Template` is a circuit with numbered angles; a `Work` is a template and a table of angles, a
row for each run of it. `sample` gives the bits of each shot, `probabilities` what they would be
after infinitely many. Every readout is computed from those, by us, the same way for every vendor.

Conventions: big-endian. Column q of the bits is qubit q (whose outcome 0 means Z = +1), then come
the bits that were measured inside the circuit, in the order of their numbers. In a vector of
probabilities qubit 0 is the most significant bit. Gates and angles are those of `qrlang.gates`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from qrlang.errors import UserError

Floats = NDArray[np.float64]
Bits = NDArray[np.uint8]


class DeviceError(UserError):
    """Of a device, or of what it is asked for: `help` is the very command, if possible."""


def described(page: Mapping[str, Any]) -> str:
    """A device's page in a line; one with noise says so in its name."""
    name = str(page["device"])
    said = {"device"} | ({"noise"} if str(page.get("noise")) in name else set())
    return ", ".join([name, *(f"{k} {v}" for k, v in page.items() if k not in said)])


class JobLost(DeviceError):
    """A job that will never have a result: it failed, or somebody cancelled it."""


class Partly(DeviceError):
    """Some circuits of a job will never have a result. `rest`: those, to be sent as a job."""

    def __init__(self, message: str, help: str, rest: Sequence[Work]) -> None:
        super().__init__(message, help)
        self.rest = list(rest)


# --- circuits -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Slot:
    """An angle that is a column of the table."""

    index: int


@dataclass(frozen=True, slots=True)
class Step:
    """A gate of `qrlang.gates.GATES`; or `measure` (into `bit`), `reset`, `barrier`; or a channel
    of `CHANNELS`, for a device that has noise.

    It acts where `controls` are 1 and `zeros` are 0, in the shots in which every measured bit of
    `when` has its value.
    """

    name: str
    qubits: tuple[int, ...]
    angles: tuple[float | Slot, ...] = ()
    controls: tuple[int, ...] = ()
    zeros: tuple[int, ...] = ()
    bit: int = -1
    when: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A circuit from |0…0⟩. Equal circuits are one object within a run: cache by it.

    At the end every qubit is measured, those in `basis` in the basis of X or Y, else in Z.
    """

    qubits: int
    bits: int  # measured inside the circuit
    steps: tuple[Step, ...]
    parameters: int
    basis: tuple[tuple[int, str], ...] = ()
    fold: int = 1  # odd: every gate on two qubits is done, undone and done again, as often in all
    places: tuple[int, ...] = ()  # the qubits of the device, where it matters which
    twirl: int = 1  # so many circuits, each between other random Paulis, share the shots
    decouple: bool = False  # qubits that wait are flipped there and back

    @property
    def pure(self) -> bool:
        """Gates only: it has a state vector."""
        return not self.bits and not any(s.name == "reset" for s in self.steps)


@dataclass(frozen=True, slots=True)
class Work:
    template: Template
    angles: Floats  # [rows, parameters], finite
    shots: int  # a multiple of the template's `twirl`

    @property
    def circuits(self) -> int:
        return len(self.angles) * self.template.twirl

    @property
    def executions(self) -> int:
        return len(self.angles) * self.shots


# --- devices ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """0: none that is known."""

    qubits: int = 0
    shots: int = 0  # of one circuit
    circuits: int = 0  # in one job
    executions: int = 0  # in one job
    alike: bool = False  # all circuits of a job have as many shots


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What can be done inside a circuit."""

    measure: bool = False
    reset: bool = False
    conditions: bool = False  # gates under a measured bit
    exact: bool = False  # `probabilities`
    noise: bool = False  # channels of the program
    folds: bool = False  # runs what it is given: a gate and its inverse stay, and random Paulis
    times: bool = False  # says how long its gates take
    local: bool = False  # on this machine: it costs nothing
    tokens: bool = False  # it is a `SendsOnce`


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Typical ones: of a gate on one qubit, on two, of reading a qubit."""

    one: float = 0.0
    two: float = 0.0
    readout: float = 0.0
    # How vendors state them: an average over states, some of which an error does not harm.
    average: bool = False

    @property
    def chances(self) -> tuple[float, float]:
        """That a gate on one qubit, on two, does something else."""
        return (1.5 * self.one, 1.25 * self.two) if self.average else (self.one, self.two)


@dataclass(frozen=True, slots=True)
class Footprint:
    """A circuit as the device will run it. `expected`: the chance that nothing goes wrong, where
    the device knows more than `ErrorRates`."""

    depth: int
    one_qubit: int
    two_qubit: int
    expected: float | None = None
    seconds: float | None = None  # from the first gate to the last reading
    coherence: float | None = None  # for how long the worst of its qubits keeps a phase, T2


@dataclass(frozen=True, slots=True)
class Usage:
    """What a device is busy with besides circuits, in seconds."""

    job: float
    shot: float


class Ticket(Protocol):
    """A job that is under way. `id` finds it again from another process; "": nothing does."""

    @property
    def id(self) -> str: ...

    def result(self) -> list[Bits]:
        """For each work its bits [rows, shots, qubits + bits]."""
        ...


@dataclass(frozen=True, slots=True)
class Done:
    """The ticket of a job that was run on the spot."""

    bits: list[Bits]
    id: str = ""

    def result(self) -> list[Bits]:
        return self.bits


class Device(Protocol):
    name: str
    limits: Limits
    capabilities: Capabilities
    errors: ErrorRates | None

    def submit(self, works: Sequence[Work], seed: int) -> Ticket:
        """One job. The same seed gives the same bits, where the vendor lets it."""
        ...

    def reopen(self, ticket: str, works: Sequence[Work]) -> Ticket:
        """A job of an earlier process."""
        ...

    def probabilities(self, template: Template, angles: Floats) -> Floats:
        """[rows, 2^qubits], exactly, of a pure template; only with `capabilities.exact`."""
        ...

    def footprint(self, template: Template) -> Footprint:
        """After transpiling."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """What it is, for the preflight's page: a version, a noise model."""
        ...


class SendsOnce(Protocol):
    """A device that costs money and knows a job by the token that it was sent with."""

    def submit_once(self, works: Sequence[Work], seed: int, token: str, again: bool) -> Ticket:
        """The job with this token: sent now, unless it has been. `again`: that may be so."""
        ...


def sample(device: Device, template: Template, angles: Floats, shots: int, seed: int = 0) -> Bits:
    """One circuit at each row of angles: bits [rows, shots, qubits + bits]."""
    return device.submit((Work(template, angles, shots),), seed).result()[0]


# --- devices by name ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeviceOptions:
    """What a person can say about a device when it is opened."""

    seed: int = 0
    noise: str = ""  # a noise model: of a device by name, or a strength such as `0.01`
    level: int = 2  # of transpiling
    extra: Mapping[str, str] = field(default_factory=dict)


def spaced(seed: int, job: int) -> int:
    """A seed for a job. Aer's shot i has the seed s + i, so neighbouring seeds would give almost
    the same shots again: these are far apart, whatever the number of shots."""
    return int(np.random.SeedSequence([seed, job]).generate_state(1, np.uint32)[0] & 0x7FFFFFFF)
