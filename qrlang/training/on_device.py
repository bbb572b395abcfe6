"""From what a command line says to a run that is trained on a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from qrlang.features import FEATURES
from qrlang.hardware.budget import Budget, prices
from qrlang.hardware.checkpoint import Journal
from qrlang.hardware.device import Device, DeviceError, DeviceOptions
from qrlang.hardware.gradient.processor import Processor
from qrlang.hardware.mitigation import mitigation, possible
from qrlang.hardware.target import DeviceTarget, lacking
from qrlang.ir.program import Program
from qrlang.targets import TargetError, load
from qrlang.training.loop import Observer, Trainer
from qrlang.training.preflight import Preflight, preflight
from qrlang.training.settings import Settings

# What has no slope by shifts, or no meaning in a batch of tensors.
_NOT_TRAINED = ("measure", "feed-forward", "postselect", "weak-readouts", "computed-noise",
                "amplitudes", "matrices", "exact-evolution")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """A device, and what may be spent on it."""

    target: str
    device: str = ""
    noise: str = ""
    level: int = 2
    max_shots: int = 0
    max_cost: float | None = None
    price_task: float = 0.0
    price_shot: float = 0.0
    price_second: float = 0.0
    mitigate: str = ""

    def to_data(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> Wanted:
        return cls(**data)

    @property
    def text(self) -> str:
        return ", ".join(x for x in (f"{self.target} {self.device}".strip(), self.noise) if x)

    def budget(self, device: Device) -> Budget:
        said = prices(device, self.price_task, self.price_shot, self.price_second)
        return Budget(self.max_shots, self.max_cost, said)

    def open(self, seed: int) -> Device:
        try:
            target = load(self.target)
        except TargetError as error:
            raise DeviceError(str(error)) from None
        if not isinstance(target, DeviceTarget):
            raise DeviceError(f"the target `{target.name}` has no devices",
                              "take --target qiskit, or --target braket")  # fmt: skip
        options = DeviceOptions(seed, self.noise, self.level)
        return target.open_device(self.device or target.device, options)


class DeviceState(Observer):
    """What checkpoints keep of the device."""

    name = "device"

    def __init__(self, processor: Processor) -> None:
        self.processor = processor

    def state(self) -> Any:
        return self.processor.state()

    def load(self, state: Any) -> None:
        self.processor.load(state)


def opened(wanted: Wanted, program: Program, settings: Settings) -> Device:
    """The device, if the program can be trained there."""
    if settings.truncate:
        raise DeviceError("a device keeps no state from one segment to the next",
                          "leave `truncate` out, and set `length` for shorter ones")  # fmt: skip
    device = wanted.open(settings.seed)
    if not settings.shots and not device.capabilities.exact:
        raise DeviceError(f"`{device.name}` has no exact mode", "give it shots: --shots 1000")
    possible(mitigation(wanted.mitigate), device)
    _refuse(program, device)
    return device


def _refuse(program: Program, device: Device) -> None:
    for name in _NOT_TRAINED:
        for use in FEATURES[name].find(program):
            raise DeviceError(
                f"training on a device takes gates, `reset` and readouts, and {program.name} has "
                f"{FEATURES[name].words}: {use.what}",
                "train it on the simulator, without --target, and run it there: qrlc run",
            )
    for line in lacking(program, device):
        raise DeviceError(line, "choose another device: --device")
    widest, limit = max(map(len, program.spaces.values()), default=0), device.limits.qubits
    if limit and widest > limit:
        raise DeviceError(
            f"a circuit needs {widest} qubits, and `{device.name}` has {limit}",
            "take a smaller model (train it with --set n=…), or choose another device: --device",
        )


def attach(trainer: Trainer, wanted: Wanted, device: Device) -> Preflight:
    """The trainer's model is on the device from now on; what that will take."""
    settings, model = trainer.settings, trainer.objective.model
    less = mitigation(wanted.mitigate)
    limits = wanted.budget(device)
    found = preflight(trainer, device, settings.shots, limits.prices, less)
    model.processor = Processor(device, settings.shots, settings.seed,
                                budget=limits, mitigation=less)  # fmt: skip
    trainer.observers.append(DeviceState(model.processor))
    return found


def keep_journal(trainer: Trainer, wanted: Wanted) -> None:
    """Answers of jobs go to the run's folder, and come from there."""
    s, processor = trainer.settings, trainer.objective.model.processor
    about = {"device": processor.device.name, "noise": wanted.noise, "shots": s.shots,
             "seed": s.seed, "level": wanted.level, "mitigate": wanted.mitigate}  # fmt: skip
    processor.desk.journal = Journal(trainer.run.folder / "journal.jsonl", about)
