"""`--noise 0.01`, `--noise depolarizing=0.01,readout=0.02`: noise of every gate, on `braket_dm`."""

from __future__ import annotations

from dataclasses import dataclass

from qrlang.gates import CHANNELS
from qrlang.hardware.device import DeviceError, ErrorRates

_ONE = tuple(c.name for c in CHANNELS.values() if c.args == 1)
_KNOWN = (*_ONE, "readout")


@dataclass(frozen=True, slots=True)
class GateNoise:
    """After each gate, on each qubit of it; `depolarizing2` on the pair of a gate on two qubits;
    `readout`: each bit of the result is wrong with this probability."""

    channels: tuple[tuple[str, float], ...] = ()
    readout: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.channels) or self.readout > 0

    @property
    def errors(self) -> ErrorRates:
        """The chance that a gate does something else."""
        right = both = 1.0
        for name, p in self.channels:
            if name == "depolarizing2":
                both *= 1 - p
            else:
                right *= 1 - (p / 2 if name.endswith("damping") else p)
        return ErrorRates(1 - right, 1 - both * right**2, self.readout)

    def __str__(self) -> str:
        parts = [f"{name}={p:g}" for name, p in self.channels]
        return ",".join(parts + ([f"readout={self.readout:g}"] if self.readout else []))


def gate_noise(text: str) -> GateNoise:
    """What a person has written after `--noise`."""
    channels: list[tuple[str, float]] = []
    readout = 0.0
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, equals, number = part.partition("=")
        if not equals:
            name, number = "depolarizing", part
        try:
            p = float(number)
        except ValueError:
            p = -1.0
        if name.strip() not in _KNOWN or not 0 <= p <= 1:
            raise DeviceError(
                f"`--noise {text}`: `{part}` is no noise of Braket's local simulator",
                "write a probability, as in `--noise 0.01`, or names from "
                f"{', '.join(_KNOWN)}: `--noise depolarizing=0.01,readout=0.02`",
            )
        if name.strip() == "readout":
            readout = p
        elif p:
            channels.append((name.strip(), p))
    return GateNoise(tuple(channels), readout)
