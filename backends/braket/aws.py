"""Braket's devices in the cloud, by ARN. All circuits of a job are one program set, where the
device takes those: one task, with one fee."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qrlang.backends.braket.circuit import circuit, finite, parameter
from qrlang.backends.braket.gates import NATIVE
from qrlang.backends.braket.size import footprint
from qrlang.hardware.budget import Prices
from qrlang.hardware.device import (
    Bits,
    Capabilities,
    DeviceError,
    ErrorRates,
    Floats,
    Footprint,
    JobLost,
    Limits,
    Partly,
    Template,
    Ticket,
    Work,
)

_ARN = re.compile(r"arn:aws[\w-]*:braket:[\w-]*:\d*:device/[\w-]+/[\w.-]+/[\w.-]+\Z")
_AWAY = ("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError",
         "ConnectionClosedError", "ProxyConnectionError")  # fmt: skip
AGAIN = "the same command with --resume; what is finished is not paid for twice"
_ENDED = ("FAILED", "CANCELLED", "CANCELLING")  # without a result
_CREATE = "before-parameter-build.braket.CreateQuantumTask"
_PROGRAM, _PROGRAM_SET = "braket.ir.openqasm.program", "braket.ir.openqasm.program_set"


def open_aws(arn: str) -> AwsBraket:
    if not _ARN.match(arn):
        raise DeviceError(
            f"`{arn}` is not the ARN of a Braket device",
            "it looks like arn:aws:braket:us-east-1::device/qpu/ionq/Forte-1; the console of "
            "Amazon Braket lists them under Devices",
        )
    from braket.aws import AwsDevice

    return AwsBraket(arn, asked(lambda: AwsDevice(arn, session(arn)), arn))


def session(arn: str) -> Any:
    """In the region that the ARN names, whatever region is set up here; AWS's own simulators have
    none in theirs, and are in that one."""
    import boto3
    from braket.aws import AwsSession

    region = arn.split(":")[3]
    return AwsSession(boto3.Session(region_name=region) if region else None)


def asked(call: Callable[[], Any], arn: str) -> Any:
    """What AWS answers; what goes wrong, in words a person can use."""
    try:
        return call()
    except DeviceError:
        raise
    except Exception as error:
        raise explained(error, arn) from error


def explained(error: Exception, arn: str) -> DeviceError:
    """By the name of its class: botocore is a package of its own, and makes some of them up."""
    kind, said = type(error).__name__, str(error)
    match kind:
        case "NoRegionError":
            region = (arn.split(":") + [""] * 4)[3] or "us-east-1"
            return DeviceError(
                "AWS is not set up here: no region is given",
                f"export AWS_DEFAULT_REGION={region}, or run `aws configure`",
            )
        case "NoCredentialsError" | "PartialCredentialsError" | "CredentialRetrievalError":
            return DeviceError(
                "AWS is not set up here: there are no credentials",
                "run `aws configure`, or export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; "
                "`--device braket_sv` needs no account",
            )
        case "ProfileNotFound":
            return DeviceError(f"AWS: {said}", "name a profile that exists: AWS_PROFILE=…")
        case _ if kind in _AWAY:
            return DeviceError(
                "AWS cannot be reached: the network is away",
                f"when it is back: {AGAIN}",
            )
    if "ExpiredToken" in said or "UnrecognizedClient" in said or "InvalidClientToken" in said:
        return DeviceError("AWS refuses these credentials: they are wrong or have expired",
                           "run `aws configure`, or `aws sso login`")  # fmt: skip
    if "AccessDenied" in said:
        return DeviceError("AWS refuses: these credentials may not use Amazon Braket",
                           "give the user the policy AmazonBraketFullAccess")  # fmt: skip
    if "not found" in said or "ResourceNotFound" in said or "ValidationException" in said:
        return DeviceError(f"AWS knows no device `{arn}`",
                           "the console of Amazon Braket lists them under Devices")  # fmt: skip
    return DeviceError(f"AWS: {kind}: {said}")


@dataclass(frozen=True)
class Tasks:
    """The tasks of a job: a program set, and one more for what it has failed to run; or a task for
    each circuit."""

    tasks: tuple[Any, ...]
    works: tuple[Work, ...]
    sets: bool
    arn: str

    @property
    def id(self) -> str:
        return " ".join(str(task.id) for task in self.tasks)

    def result(self) -> list[Bits]:
        out = [np.empty((w.circuits, w.shots, w.template.qubits), np.uint8) for w in self.works]
        left = [(i, row) for i, w in enumerate(self.works) for row in range(w.circuits)]
        for task in self.tasks:
            group = left if self.sets else left[:1]
            left, reason = left[len(group) :], ""
            try:
                results = self._results(task)
            except JobLost as lost:
                if task is self.tasks[0] or not self.sets:
                    raise
                left, reason = [*left, *group], f": {lost}"  # what came before has its answers
                continue
            for (work, row), found in zip(group, results, strict=True):
                if (bits := getattr(found, "measurements", None)) is not None:
                    out[work][row] = _in_order(found, bits)
                else:
                    left.append((work, row))
                    reason = reason or _why(found)
        if left:
            raise Partly(
                f"the task {self.tasks[-1].id} left out {len(left)} of "
                f"{sum(w.circuits for w in self.works)} circuits{reason}",
                f"send these again: {AGAIN}",
                [replace(w, angles=w.angles[[r for k, r in left if k == i]])
                 for i, w in enumerate(self.works) if any(k == i for k, _ in left)],
            )  # fmt: skip
        return out

    def _results(self, task: Any) -> list[Any]:
        found = asked(task.result, self.arn)
        state = str(asked(task.state, self.arn))
        if found is None and state not in _ENDED:
            raise DeviceError(
                f"the task {task.id} is still {state}", f"wait for it, then go on: {AGAIN}"
            )
        if found is None or state in _ENDED:
            reason = _reason(task)
            ended = "was cancelled" if "CANCEL" in state else "failed"
            raise JobLost(
                f"the task {task.id} {ended}" + (f": {reason}" if reason else ""),
                f"send it again: {AGAIN}",
            )
        return [one for entry in found for one in entry] if self.sets else [found]


def _why(failed: Any) -> str:
    """Of one executable of a set."""
    reason = getattr(getattr(failed, "failureMetadata", None), "failureReason", "")
    return f": {reason}" if reason else ""


def _reason(task: Any) -> str:
    try:
        return str(task.metadata().get("failureReason", ""))
    except Exception:
        return ""


def _in_order(result: Any, measurements: Any) -> Any:
    """Column q is qubit q."""
    bits = np.asarray(measurements, np.uint8)
    order = getattr(result, "measured_qubits", None)
    return bits if order is None else bits[:, np.argsort([int(q) for q in order])]


class AwsBraket:
    def __init__(self, arn: str, device: Any) -> None:
        self.name = arn
        self.device = device
        properties = asked(lambda: device.properties, arn)
        actions = {getattr(k, "value", k): v for k, v in properties.action.items()}
        if _PROGRAM not in actions:
            raise DeviceError(f"`{arn}` runs no circuits of gates", "choose a gate-model device")
        sets = actions.get(_PROGRAM_SET)
        self.sets = sets is not None
        listed = getattr(actions[_PROGRAM], "supportedOperations", None) or ()
        self.native = frozenset(_ours(name) for name in listed) or NATIVE
        cost = getattr(properties.service, "deviceCost", None)
        self.price = f"{cost.price} a {cost.unit}" if cost else "not stated by the device"
        unit, stated = (cost.unit, float(cost.price)) if cost else ("", 0.0)
        self.prices = Prices(task=stated * (unit == "task"), shot=stated * (unit == "shot"))
        service, paradigm = properties.service, getattr(properties, "paradigm", None)
        most = getattr(service, "shotsRange", (0, 0))[1]
        self.limits = Limits(
            qubits=int(getattr(paradigm, "qubitCount", 0) or 0),
            shots=int(most or 0),
            # without program sets a job is one circuit: so one is never paid for twice
            circuits=int(getattr(sets, "maximumExecutables", 0) or 0) if self.sets else 1,
            executions=int(getattr(sets, "maximumTotalShots", 0) or 0) if self.sets else 0,
            alike=self.sets,
        )
        self.capabilities = Capabilities(tokens=True)
        self.errors = error_rates(properties)

    def submit(self, works: Sequence[Work], seed: int) -> Ticket:
        return self.submit_once(works, seed, "", False)

    def submit_once(self, works: Sequence[Work], seed: int, token: str, again: bool) -> Ticket:
        """The seed is ours alone: a device has none. A task that is created again with its token
        is the same task, for AWS, and has one fee."""
        for work in works:
            finite(work.angles)
        made: list[tuple[Any, int | None]]
        if self.sets:
            made = [(program_set(works, self.native), None)]
        else:
            made = [(self._bound(w, row), w.shots) for w in works for row in range(w.circuits)]
        sent = []
        for i, (one, shots) in enumerate(made):
            with self._named(f"{token}-{i}" if token else ""):
                sent.append(self._sent(one, shots))
        return self._ticket(sent, works)

    def _sent(self, task: Any, shots: int | None) -> Any:
        given = {} if shots is None else {"shots": shots}
        return asked(lambda: self.device.run(task, **given), self.name)

    @contextmanager
    def _named(self, token: str) -> Iterator[None]:
        """Tasks that are created meanwhile have this token, in place of one that boto3 draws for
        each. Braket's SDK has no argument for it."""
        events = self.device.aws_session.braket_client.meta.events

        def name(params: dict[str, Any], **_: Any) -> None:
            params["clientToken"] = token

        if not token:
            yield
            return
        events.register(_CREATE, name)
        try:
            yield
        finally:
            events.unregister(_CREATE, name)

    def reopen(self, ticket: str, works: Sequence[Work]) -> Ticket:
        from braket.aws import AwsQuantumTask

        session = self.device.aws_session
        tasks = asked(lambda: [AwsQuantumTask(arn, session) for arn in ticket.split()], self.name)
        return self._ticket(tasks, works)

    def probabilities(self, template: Template, angles: Floats) -> Floats:
        raise DeviceError(f"`{self.name}` has no exact mode", "say how many shots: --shots 1000")

    def footprint(self, template: Template) -> Footprint:
        return footprint(template, self.native)

    def describe(self) -> Mapping[str, Any]:
        from importlib.metadata import version

        return {
            "device": self.name,
            "name": getattr(self.device, "name", ""),
            "provider": getattr(self.device, "provider_name", ""),
            "status": getattr(self.device, "status", ""),
            "amazon-braket-sdk": version("amazon-braket-sdk"),
            "jobs": "program sets" if self.sets else "a task for each circuit",
            "price": self.price,
            "gates": "before Braket's own compiler, which routes them on the device",
        }

    def _ticket(self, tasks: Sequence[Any], works: Sequence[Work]) -> Tasks:
        return Tasks(tuple(tasks), tuple(works), self.sets, self.name)

    def _bound(self, work: Work, row: int) -> Any:
        made = circuit(work.template, self.native)
        used = {str(p) for p in made.parameters}
        numbers = {parameter(i): float(a) for i, a in enumerate(work.angles[row])}
        return made.make_bound_circuit({k: v for k, v in numbers.items() if k in used})


def program_set(works: Sequence[Work], native: frozenset[str] = NATIVE) -> Any:
    """A circuit for every work, and a set of inputs for every row of its angles. No lists of
    observables: Braket would run the circuit once for each of them."""
    from braket.program_sets import CircuitBinding, ProgramSet

    entries = []
    for work in works:
        one = circuit(work.template, native)
        names = sorted(str(p) for p in one.parameters)
        if names:
            table = {n: work.angles[:, int(n[2:])].tolist() for n in names}
            entries.append(CircuitBinding(one, input_sets=table))
        else:  # no angle to tell the rows apart
            entries += [one] * work.circuits
    return ProgramSet(entries, shots_per_executable=works[0].shots)


def _ours(name: str) -> str:
    """A gate as the methods of `Circuit` call it."""
    return {"u": "u", "U": "u"}.get(name, name.lower())


def error_rates(properties: Any) -> ErrorRates | None:
    """The median of what the device says of itself, in the form that all vendors share. Fidelities
    of gates come from randomized benchmarking: they are averages over states."""
    standard = getattr(properties, "standardized", None)
    if standard is None:
        return _means(getattr(properties, "provider", None))
    one: list[float] = []
    read: list[float] = []
    two: list[float] = []
    for of_qubit in (getattr(standard, "oneQubitProperties", None) or {}).values():
        for f in getattr(of_qubit, "oneQubitFidelity", None) or ():
            kind = str(getattr(getattr(f, "fidelityType", None), "name", "")).upper()
            wrong = float(f.fidelity) if "ERROR" in kind else 1 - float(f.fidelity)
            (read if "READOUT" in kind else one).append(wrong)
    for of_pair in (getattr(standard, "twoQubitProperties", None) or {}).values():
        for g in getattr(of_pair, "twoQubitGateFidelity", None) or ():
            two.append(1 - float(g.fidelity))
    for of_all, found in (("TwoQubitGateFidelity", two), ("ReadoutFidelity", read)):
        found += [1 - float(f.fidelity) for f in getattr(standard, of_all, None) or ()]
    if not two:
        return None

    def middle(found: list[float]) -> float:
        return float(np.median(found)) if found else 0.0

    return ErrorRates(middle(one), middle(two), middle(read), average=True)


def _means(provider: Any) -> ErrorRates | None:
    """As IonQ says it, of all its qubits together."""
    said = getattr(provider, "fidelity", None) or {}
    one, two, read = (1 - float(said.get(k, {}).get("mean", 1)) for k in ("1Q", "2Q", "spam"))
    return ErrorRates(one, two, read, average=True) if two else None
