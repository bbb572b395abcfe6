"""Less error for more circuits: misread bits undone, noise taken away by extrapolation.

readout  Each qubit's chances to be misread are measured (all qubits 0, all qubits 1), and every
         shot counts as what it then is on average: `(±1 - (b - a)) / (1 - a - b)` for a Z, where a
         is the chance of 1 for 0 and b that of 0 for 1. The same as multiplying with the inverse
         of the tensored matrix of chances, without ever making it.
zne      Every gate on two qubits G becomes G G⁻¹ G …, three and five times; what the readout
         would be without noise follows from a line, or from an exponential where the values shrink
         towards zero as noise makes them.
twirl    The shots are shared by circuits that mean the same, with other random Paulis around each
         gate on two qubits (`qrlang.hardware.twirl`): errors that are the same each time become
         errors by chance.
dd       Dynamical decoupling: a qubit that waits is flipped there and back, so that a turn about Z
         that goes on meanwhile undoes itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from qrlang.diagnostics.words import suggestion
from qrlang.hardware.device import Bits, Device, DeviceError, Floats, Step, Template

SCALES = (1, 3, 5)
WIDEST = 12  # bits of the middle, whose patterns are undone
SHAPES = ("linear", "exponential")
TWIRLS, MOST_TWIRLS = 32, 1000  # circuits that share the shots
KINDS = ("readout", "dd", "twirl", "zne", *(f"zne:{s}" for s in SHAPES))


@dataclass(frozen=True, slots=True)
class Mitigation:
    readout: bool = False
    zne: bool = False
    shape: str = ""  # "": exponential where it fits, else a line
    twirl: int = 1
    decouple: bool = False

    @property
    def scales(self) -> tuple[int, ...]:
        return SCALES if self.zne else (1,)

    def __str__(self) -> str:
        zne = f"zne:{self.shape}" if self.shape else "zne"
        twirl = "twirl" if self.twirl == TWIRLS else f"twirl:{self.twirl}"
        said = ((self.readout, "readout"), (self.decouple, "dd"), (self.twirl > 1, twirl),
                (self.zne, zne))  # fmt: skip
        return ",".join(word for wanted, word in said if wanted)


NONE = Mitigation()


def mitigation(text: str) -> Mitigation:
    """What a person has written after `--mitigate`."""
    parts = [p.strip() for p in text.split(",") if p.strip()]
    twirls = 1
    for p in parts:
        name, _, count = p.partition(":")
        if name == "twirl":
            twirls = _count(text, count) if count else TWIRLS
        elif p not in KINDS:
            raise DeviceError(
                f"`--mitigate {text}`: there is no `{p}`{suggestion(p, KINDS)}",
                "--mitigate readout, dd, twirl, zne, or some of them: readout,twirl,zne; the "
                "extrapolation can be said, zne:linear or zne:exponential, and how many circuits "
                f"share the shots, twirl:{2 * TWIRLS}",
            )
    shapes = [p.partition(":")[2] for p in parts if p.startswith("zne")]
    return Mitigation("readout" in parts, bool(shapes), shapes[-1] if shapes else "", twirls,
                      "dd" in parts)  # fmt: skip


def _count(text: str, count: str) -> int:
    if not count.isascii() or not count.isdigit() or not 2 <= int(count) <= MOST_TWIRLS:
        raise DeviceError(
            f"`--mitigate {text}`: `{count}` is not how many circuits share the shots",
            f"between 2 and {MOST_TWIRLS}: twirl:{2 * TWIRLS}",
        )
    return int(count)


def possible(wanted: Mitigation, device: Device) -> None:
    if wanted.decouple and not device.capabilities.times:
        raise DeviceError(
            f"`{device.name}` does not say how long its gates take, and so not where qubits wait",
            "leave `dd` out; IBM's devices and their snapshots say it, and `aer` with the noise "
            "of one: --noise fake_manila",
        )
    puts = "zne" if wanted.zne else "twirl"
    if (wanted.zne or wanted.twirl > 1) and not device.capabilities.folds:
        raise DeviceError(
            f"`{device.name}` compiles circuits by itself, and would take out the gates that "
            f"`{puts}` puts in",
            "leave it at --mitigate readout",
        )


# --- misread bits -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Confusion:
    """Of each qubit, the chance of 1 for 0 and of 0 for 1; the same of the bits of the middle
    that can be undone."""

    up: Floats
    down: Floats
    inner: Mapping[int, tuple[float, float]] = field(default_factory=dict)

    def value(self, bits: Floats, qubit: int) -> Floats:
        """What a bit counts, in the place of ±1."""
        a, b = self.up[qubit], self.down[qubit]
        found: Floats = (1.0 - 2.0 * bits - (b - a)) / (1 - a - b)
        return found

    def share(self, bits: Bits, bit: int, value: int) -> Floats:
        """What a shot counts among those in which the bit was `value`: less than nothing, if it is
        likelier to be among them by mistake."""
        a, b = self.inner[bit]
        right, wrong = (1 - a, -a) if value else (1 - b, -b)
        return np.asarray(np.where(bits == value, right, wrong) / (1 - a - b))

    def patterns(self, shares: dict[tuple[int, ...], float], bits: tuple[int, ...]) -> None:
        """Of whole patterns of bits, in place; what comes out negative is nothing."""
        known = [i for i, bit in enumerate(bits) if bit in self.inner]
        for i in known if len(known) <= WIDEST else ():
            a, b = self.inner[bits[i]]
            inverse = np.array([[1 - b, -b], [-a, 1 - a]]) / (1 - a - b)
            for rest in {(*key[:i], *key[i + 1 :]) for key in shares}:
                pair = [(*rest[:i], v, *rest[i:]) for v in (0, 1)]
                true = inverse @ [shares.get(key, 0.0) for key in pair]
                shares.update(zip(pair, map(float, true), strict=True))
        whole = sum(x for x in shares.values() if x > 0)
        for key in list(shares):
            if shares[key] > 1e-12 * whole:
                shares[key] /= whole
            else:
                del shares[key]

    def distribution(self, table: Floats, qubits: tuple[int, ...]) -> Floats:
        """[rows, 2^k] as it was before it was read; what comes out negative is nothing."""
        found = table.reshape(len(table), *(2,) * len(qubits))
        for axis, q in enumerate(qubits):
            a, b = self.up[q], self.down[q]
            inverse = np.array([[1 - b, -b], [-a, 1 - a]]) / (1 - a - b)
            found = np.moveaxis(np.tensordot(inverse, found, (1, axis + 1)), 0, axis + 1)
        flat = np.clip(found.reshape(table.shape), 0.0, None)
        whole: Floats = flat / np.maximum(flat.sum(axis=1, keepdims=True), 1e-300)
        return whole


def misread(up: Floats, down: Floats, places: tuple[int, ...]) -> Confusion:
    """Of qubits that are there on the device."""
    bad = np.flatnonzero(1 - up - down < 0.05)
    if len(bad):
        raise DeviceError(
            f"the device's qubit {places[bad[0]]} is read as if at random: nothing can be made "
            "of it",
            "leave out --mitigate readout, or choose another device",
        )
    return Confusion(up, down)


def calibrations(qubits: int, places: tuple[int, ...]) -> tuple[Template, Template]:
    """All 0, and all 1."""
    ones = tuple(Step("x", (q,)) for q in range(qubits))
    return (Template(qubits, 0, (), 0, places=places), Template(qubits, 0, ones, 0, places=places))


def places_of(device: Device, template: Template) -> tuple[int, ...]:
    """Which qubit of the device reads each qubit, where that is known."""
    asked = getattr(device, "places", None)
    return tuple(range(template.qubits)) if asked is None else tuple(asked(template))


def recorded(device: Device, template: Template) -> dict[int, int]:
    """The bits of the middle that are kept and do nothing else, and what reads them. A bit that
    has steered a gate cannot be undone: the gate was done, or not. Nor one that was not always
    read."""
    if not template.bits:
        return {}
    steering = {bit for s in template.steps for bit, _ in s.when}
    read = {s.bit: s.qubits[0] for s in template.steps if s.name == "measure" and not s.when}
    asked = getattr(device, "inner_places", None)
    if asked is not None:
        read = asked(template)
    return {bit: place for bit, place in read.items() if bit not in steering}


def all_places(device: Device, template: Template) -> tuple[int, ...]:
    """What reads anything that can be undone, in order."""
    return tuple(sorted({*places_of(device, template), *recorded(device, template).values()}))


# --- extrapolation ------------------------------------------------------------------------------


def extrapolated(values: list[Floats], wanted: Mitigation, shots: int, word: bool) -> Floats:
    """From the values at all scales to none. `word`: expectation values, else a distribution."""
    if len(values) == 1:
        return values[0]
    y = np.stack(values)
    line = _line(y)
    if not word:
        flat = np.clip(line, 0.0, None)
        return np.asarray(flat / max(flat.sum(), 1e-300))
    least = 3 / np.sqrt(shots) if shots else 1e-9
    falls = np.all(np.abs(y) > least, 0) & np.all(np.sign(y) == np.sign(y[0]), 0)
    falls &= np.all(np.diff(np.abs(y), axis=0) <= (least if wanted.shape else 0.0), 0)
    if wanted.shape == "linear":
        falls = np.zeros_like(falls)
    found = np.where(falls, _exponential(np.where(falls, y, 1.0)), line)
    return np.asarray(np.clip(found, -1.0, 1.0))


def _line(y: Floats) -> Floats:
    x = np.array(SCALES, float)
    slope = ((x - x.mean()) @ y) / ((x - x.mean()) ** 2).sum()
    found: Floats = y.mean(0) - slope * x.mean()
    return found


def _exponential(y: Floats) -> Floats:
    """By logarithms, each as certain as its value is large."""
    x, logs, w = np.array(SCALES, float)[:, None], np.log(np.abs(y)), y**2
    mean_x, mean_y = (w * x).sum(0) / w.sum(0), (w * logs).sum(0) / w.sum(0)
    slope = (w * (x - mean_x) * (logs - mean_y)).sum(0) / (w * (x - mean_x) ** 2).sum(0)
    found: Floats = np.sign(y[0]) * np.exp(mean_y - slope * mean_x)
    return found
