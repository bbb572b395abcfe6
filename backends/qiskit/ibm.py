"""IBM's devices and their snapshots, through qiskit-ibm-runtime."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qrlang.backends.qiskit.timing import duration, timed
from qrlang.backends.qiskit.transpiled import (
    Compiled,
    bits_of,
    misread,
    pubs,
    typical,
)
from qrlang.diagnostics.words import suggestion
from qrlang.hardware.device import (
    Bits,
    Capabilities,
    Device,
    DeviceError,
    DeviceOptions,
    Done,
    ErrorRates,
    Floats,
    Footprint,
    JobLost,
    Limits,
    Template,
    Ticket,
    Usage,
    Work,
    spaced,
)

EXECUTIONS = 10_000_000  # circuits times shots in a job, by IBM's documentation
_SERVICE = "from qiskit_ibm_runtime import QiskitRuntimeService as S"
ACCOUNT = f"""python -c "{_SERVICE}; S.save_account(token='…')\""""


def open_device(name: str, options: DeviceOptions) -> Device:
    if options.noise:
        raise DeviceError(
            f"`{name}` has noise of its own", f"simulate it: --device aer --noise {name}"
        )
    if name.startswith(("ibm_", "ibm")) and not name.startswith("fake"):
        return Runtime(_backend(name), options)
    return Runtime(snapshot(name), options)


def snapshot(name: str) -> Any:
    """A `Fake…` backend, by its class or as `fake_manila`."""
    provider = _import("qiskit_ibm_runtime.fake_provider")
    known = {_snake(n): n for n in dir(provider) if n.startswith("Fake") and "Provider" not in n}
    plain = _snake(name)
    for asked in (plain, f"{plain}_v2", f"fake_{plain}", f"fake_{plain}_v2"):
        if asked in known:
            made = getattr(provider, known[asked])()
            if hasattr(made, "target"):
                return made
    shown = [n.removesuffix("_v2") for n in known]
    if name.startswith(("braket_", "arn:")):
        raise DeviceError(f"`{name}` is a device of Braket", "say so: --target braket")
    raise DeviceError(
        f"no device is called `{name}`" + suggestion(name, ["aer", *shown]),
        "there are `aer`, the snapshots `fake_…` of qiskit-ibm-runtime, and `ibm_…` of an account",
    )


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=V\d|[A-Z])", "_", name).lower()


def _import(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise DeviceError(
            f"IBM's devices need {error.name}", "pip install qiskit-ibm-runtime"
        ) from None


def _backend(name: str) -> Any:
    """A real one."""
    runtime = _import("qiskit_ibm_runtime")
    try:
        service = runtime.QiskitRuntimeService()
        if name == "ibm":
            return service.least_busy(operational=True, simulator=False)
        return service.backend(name)
    except Exception as error:  # the runtime has many, and a network has more
        raise explained(error, name) from error


def explained(error: Exception, name: str) -> DeviceError:
    """One message, and what mends it."""
    kind, text = type(error).__name__, _first_line(error)
    if "AccountNotFound" in kind:
        return DeviceError("there is no IBM Quantum account here", f"save one: {ACCOUNT}")
    if "InvalidAccount" in kind or "401" in text or "Unauthorized" in text:
        return DeviceError("IBM Quantum does not accept the account", f"save it again: {ACCOUNT}")
    if "QiskitBackendNotFound" in kind:
        return DeviceError(
            f"the account has no device `{name}`",
            f'it has those of: python -c "{_SERVICE}; print(S().backends())"',
        )
    again = "then go on: the same command with --resume"
    offline = "RequestsApi" in kind or "Max retries" in text
    if offline or isinstance(error, (ConnectionError, TimeoutError)):
        return DeviceError(f"IBM Quantum cannot be reached: {text}", f"mend the network, {again}")
    return DeviceError(f"{name}: {kind}: {text}", f"mend that, {again}")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")[:200]


@dataclass(slots=True)
class Job:
    job: Any
    works: Sequence[Work]
    name: str

    @property
    def id(self) -> str:
        found = getattr(self.job, "job_id", lambda: "")()
        # A snapshot's job lives in this process alone.
        return str(found) if type(self.job).__name__.startswith("Runtime") else ""

    def result(self) -> list[Bits]:
        return bits_of(self.answers(), self.works)

    def answers(self) -> Any:
        """Of each circuit."""
        try:
            return self.job.result()
        except Exception as error:
            status = _status(self.job).upper()
            for word, ended in (
                ("CANCEL", "was cancelled"),
                ("ERROR", "failed"),
                ("FAIL", "failed"),
            ):
                if word in status:
                    reason = "" if word == "CANCEL" else f": {_first_line(error)}"
                    raise JobLost(
                        f"the job {self.id} {ended}{reason}",
                        "send it again: the same command with --resume; what is finished is not "
                        "paid for twice",
                    ) from error
            raise explained(error, self.name) from error


def _status(job: Any) -> str:
    try:
        return str(job.status())
    except Exception:  # the network is away, perhaps
        return ""


class Runtime:
    """A backend of the runtime, a real one or a snapshot with its noise."""

    def __init__(self, backend: Any, options: DeviceOptions) -> None:
        self._backend, self._options = backend, options
        self.name = str(backend.name)
        names = set(backend.target.operation_names)
        fake = type(backend).__name__.startswith("Fake")
        self.capabilities = Capabilities(
            True, "reset" in names, "if_else" in names, folds=True,
            times=timed(backend.target), local=fake, tokens=not fake,
        )  # fmt: skip
        # A backend's own `max_shots` holds no longer, by the same page.
        self.limits = Limits(backend.num_qubits, executions=EXECUTIONS, alike=True)
        self.errors: ErrorRates | None = typical(backend.target)
        self._compiled = Compiled(backend, options.level, options.seed, backend.target)
        # By IBM's documentation: what a job takes to be loaded, and an execution before it begins.
        delay = float(getattr(backend, "default_rep_delay", None) or 250e-6)
        self.usage = Usage(2.0, delay + duration(backend.target, "reset", (0,)))

    def submit(self, works: Sequence[Work], seed: int) -> Ticket:
        """To a snapshot. It gives the same random numbers to all circuits of a job, so each is a
        job with a seed of its own."""
        made = [pub for group in pubs(works, self._compiled.waiting) for pub in group]
        jobs = (self._sent([pub], spaced(seed, i), "", works) for i, pub in enumerate(made))
        return Done(bits_of((job.answers()[0] for job in jobs), works))

    def submit_once(self, works: Sequence[Work], seed: int, token: str, again: bool) -> Ticket:
        """IBM takes the same job twice: so a job has its token as a tag, and before it is sent
        again it is looked for."""
        ready = [pub for mine in pubs(works, self._compiled.sent, alike=True) for pub in mine]
        try:
            if again:
                for job in self._backend.service.jobs(limit=1, job_tags=[token]):
                    return Job(job, works, self.name)
        except Exception as error:
            raise explained(error, self.name) from error
        return self._sent(ready, seed, token, works)

    def _sent(self, ready: list[Any], seed: int, token: str, works: Sequence[Work]) -> Job:
        try:
            return Job(self._sampler(seed, token).run(ready), works, self.name)
        except Exception as error:
            raise explained(error, self.name) from error

    def _sampler(self, seed: int, token: str) -> Any:
        """The newer primitive, where the runtime has it; a snapshot takes a seed."""
        from importlib import import_module

        options: dict[str, Any] = {}
        if self.capabilities.local:
            options["simulator"] = {"seed_simulator": seed}
        if token:
            options["environment"] = {"job_tags": [token]}
        try:
            made = import_module("qiskit_ibm_runtime.executor_sampler").Sampler
        except (ImportError, AttributeError):
            made = import_module("qiskit_ibm_runtime").SamplerV2
        return made(mode=self._backend, options=options)

    def reopen(self, ticket: str, works: Sequence[Work]) -> Ticket:
        try:
            job = self._backend.service.job(ticket)
        except Exception as error:
            raise explained(error, self.name) from error
        return Job(job, works, self.name)

    def probabilities(self, template: Template, angles: Floats) -> Floats:
        raise DeviceError(f"`{self.name}` has no exact mode", "give it shots: --shots 1000")

    def footprint(self, template: Template) -> Footprint:
        return self._compiled.footprint(template)

    def places(self, template: Template) -> tuple[int, ...]:
        return self._compiled.places(template)

    def inner_places(self, template: Template) -> dict[int, int]:
        return self._compiled.inner_places(template)

    def misread(self, template: Template) -> tuple[float, ...]:
        return misread(self._backend.target, self.places(template))

    def describe(self) -> Mapping[str, Any]:
        from importlib.metadata import version

        return {"device": self.name, "runtime": version("qiskit-ibm-runtime")}
