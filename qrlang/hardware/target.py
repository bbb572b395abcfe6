"""What targets for devices share: which features can be had, and how a device is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from qrlang.features import FEATURES, Found, found
from qrlang.hardware.evolution import parts_of
from qrlang.ir.program import ApplyMatrix, Evolve, Program
from qrlang.ir.walk import qubits_of, walk
from qrlang.targets import Options, Support, Target, TargetError, no, refusal, yes

if TYPE_CHECKING:
    from qrlang.check.model import CheckedModel
    from qrlang.diagnostics import Diagnostic
    from qrlang.hardware.device import Device, DeviceOptions

WIDEST = 6  # qubits of a unitary that is made from its matrix: 3,000 gates on two qubits
_HOST = yes("computed by the host")

SUPPORT: dict[str, Support] = {
    "controls": yes(),
    "recurrence": yes("prefix replay: at each moment the circuit of all moments before it"),
    "recurrences": yes("one after the other"),
    "extra-steps": yes(),
    "sequences": _HOST,
    "attention": _HOST,
    "circuit-layers": yes("a circuit for each call"),
    "expectations": yes("from the bits of all shots, in as few settings as agree"),
    "probabilities": yes("from the bits of all shots"),
    "shots": yes("whatever the run says"),
    "weak-readouts": yes("by an ancilla that is measured and reset, where the device can"),
    "measure": yes("where the device can"),
    "feed-forward": yes("where the device can"),
    "kept-bits": yes("where the device can"),
    "bits-in-expressions": yes("computed by the host for each outcome, then averaged"),
    "bits-in-angles": yes("a gate for each outcome, under its bits; up to eight of them"),
    "reset": yes("where the device can"),
    "postselect": yes("by leaving shots out"),
    "noise": no("leave the channel out: a device has noise of its own, and `--noise` gives it to "
                "a simulator"),
    "computed-noise": yes("where the device has noise; a circuit for each strength"),
    "conditional-noise": no("leave the channel out"),
    "mixed-start": yes("as halves of entangled pairs: twice the qubits"),
    "amplitudes": yes("as rotations and CNOTs, about 2^n of each; twice that if complex"),
    "matrices": yes(f"as rotations and CNOTs, about 4^n; up to {WIDEST} qubits"),
    "exact-evolution": yes(f"as the unitary that it is; up to {WIDEST} qubits"),
    "trotter": yes("as gates"),
    "extern": no("write the layer in the language, for example as `mlp` or `linear`"),
}  # fmt: skip


# What the loop does and a module that is written does not.
MODULE: dict[str, Support] = {
    "bits-in-angles": no("`qrlc run` can; or put the gates under `if`: `if b { rz(a) q }`"),
    "bits-in-expressions": no("`qrlc run` can; or read the qubit instead"),
    "computed-noise": no("`qrlc run` can; or give the channel a constant strength"),
}


class DeviceTarget(Target):
    """A target whose devices the loop can use."""

    device = ""  # the one that needs no account

    @property
    def ablest(self) -> str:
        """Among those, the one that can do most."""
        return self.device

    def features(self, options: Mapping[str, str]) -> Mapping[str, Support]:
        del options
        return SUPPORT

    def check(self, model: CheckedModel, options: Options) -> tuple[Diagnostic, ...]:
        lacks = super().check(model, options)
        return lacks or tuple(
            refusal(self.name, FEATURES[name], _NARROWER, model, [use])
            for name, use in too_wide(model.program)
        )

    def run(
        self, model: CheckedModel, inputs: Mapping[str, object], options: Options
    ) -> Mapping[str, object]:
        """Exactly, on the device that needs no account."""
        from qrlang.backends.reference.errors import RunError
        from qrlang.backends.reference.weights import initial_weights
        from qrlang.hardware.device import DeviceError, DeviceOptions
        from qrlang.hardware.loop import Item, Plan, run
        from qrlang.passes import GATES, run_passes

        program = run_passes(model.program, GATES)
        targets = {v.name for v in program.targets}
        item = Item(
            {k: x for k, x in inputs.items() if k not in targets},
            {k: x for k, x in inputs.items() if k in targets},
        )
        try:
            device = self.open_device(self.device, DeviceOptions())
            return run(program, initial_weights(program), [item], device, Plan(0)).outputs[0]
        except (DeviceError, RunError) as error:
            raise TargetError(str(error)) from error

    def open_device(self, name: str, options: DeviceOptions) -> Device:
        del options
        raise TargetError(f"the target `{self.name}` has no device `{name}`")


def lacking(program: Program, device: Device) -> Iterator[str]:
    """What the program does and the device cannot: each with its name."""
    can = device.capabilities
    for feature, has in (
        ("measure", can.measure),
        ("postselect", can.measure),
        ("weak-readouts", can.measure and can.reset),
        ("reset", can.reset),
        ("feed-forward", can.conditions),
        ("noise", can.noise),
    ):
        if not has:
            for use in FEATURES[feature].find(program):
                yield f"`{device.name}` has no {FEATURES[feature].words}: {use.what}"
                break


def refused(program: Program, target: Target) -> Iterator[str]:
    """The same of the target, for a program whose text is not at hand."""
    has = target.features({})
    for name, feature in FEATURES.items():
        support = has.get(name, no(""))
        if not support.yes and (uses := list(feature.find(program))):
            how = f" ({support.note})" if support.note else ""
            yield f"the target `{target.name}` has no {feature.words}: {uses[0].what}{how}"
    for name, use in too_wide(program):
        yield f"the target `{target.name}` has no {FEATURES[name].words}: {use.what} ({_NARROWER})"


_NARROWER = f"it would be about 4^n gates: {WIDEST} qubits at most; or say it as gates, `trotter 8`"


def too_wide(program: Program) -> Iterator[tuple[str, Found]]:
    """Unitaries that would have to be made from a matrix that is too large for that: which
    feature it is that goes too far, and where."""
    for op in walk(program.body):
        if isinstance(op, ApplyMatrix) and len(op.qubits) > WIDEST:
            what = f"a unitary that is a value, on {len(op.qubits)} qubits"
            yield "matrices", found(program, op, what)
        elif isinstance(op, Evolve):
            width = max((len(qubits_of(part)) for part in parts_of(op)[1]), default=0)
            if width > WIDEST:
                what = f"these terms do not commute, and act on {width} qubits"
                yield "exact-evolution", found(program, op, what)
