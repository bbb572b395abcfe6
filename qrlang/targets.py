"""Targets: what a program can be turned into, or run by. First-party ones use the same door.

A target is an object named by an entry point of the group `qrlang.backends`. It says which
features it has; a program that uses another is refused with a place before anything is lowered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from qrlang.check.model import CheckedModel
from qrlang.diagnostics import Diagnostic, Note
from qrlang.diagnostics.words import suggestion
from qrlang.features import FEATURES, Feature, Found
from qrlang.source import Span

GROUP = "qrlang.backends"

# What the wheel's metadata says too; here for a checkout that is not installed.
FIRST_PARTY = {
    "reference": "qrlang.backends.reference:target",
    "qasm": "qrlang.backends.qasm:target",
    "torch": "qrlang.backends.torch:target",
    "braket": "qrlang.backends.braket:target",
    "qiskit": "qrlang.backends.qiskit:target",
}


@dataclass(frozen=True, slots=True)
class Support:
    """Whether a target has a feature. `note`: how, if it has; what to use instead, if not."""

    yes: bool
    note: str = ""


def yes(note: str = "") -> Support:
    return Support(True, note)


def no(instead: str) -> Support:
    return Support(False, instead)


@dataclass(frozen=True, slots=True)
class Option:
    """A setting of a target, on the command line `--name value`.

    `variant`: what the target supports depends on it; each choice is a column of the table.
    """

    name: str
    doc: str
    default: str
    choices: tuple[str, ...] = ()
    variant: bool = False


Options = Mapping[str, str]


@runtime_checkable
class Target(Protocol):
    """What a plug-in provides. A class that derives from this needs only what it changes."""

    name: str
    doc: str  # one line
    options: tuple[Option, ...] = ()

    def features(self, options: Options) -> Mapping[str, Support]:
        """By name of `FEATURES`; what is not named is not supported."""
        ...

    def check(self, model: CheckedModel, options: Options) -> tuple[Diagnostic, ...]:
        """Everything in the model that this target cannot do; empty means that it can."""
        return unsupported(self, model, options)

    def emit(self, model: CheckedModel, options: Options) -> Mapping[str, str | bytes]:
        """Files by path below the output folder. Only for a model that passes `check`."""
        return {}

    def run(
        self, model: CheckedModel, inputs: Mapping[str, object], options: Options
    ) -> Mapping[str, object]:
        """The model's outputs by name for the given inputs. Only after `check`."""
        raise TargetError(f"the target `{self.name}` does not run models; it writes files")


class TargetError(Exception):
    """A request that no target can serve: an unknown name, a plug-in that does not load."""


def defaults(target: Target) -> dict[str, str]:
    return {option.name: option.default for option in target.options}


def variants(target: Target) -> Iterator[tuple[str, dict[str, str]]]:
    """The target's columns in the table of features: a name, and the options that make it."""
    columns: list[tuple[str, dict[str, str]]] = [(target.name, defaults(target))]
    for option in target.options:
        if option.variant:
            columns = [
                (f"{name} ({choice})", {**options, option.name: choice})
                for name, options in columns
                for choice in option.choices
            ]
    yield from columns


# --- the check that every target gets -------------------------------------------------------------


def unsupported(target: Target, model: CheckedModel, options: Options) -> tuple[Diagnostic, ...]:
    """One diagnostic for each feature that the model uses and the target lacks."""
    has = target.features(options)
    label = next((n for n, o in variants(target) if o == dict(options)), target.name)
    return tuple(
        refusal(label, feature, has.get(name, no("")).note, model, uses)
        for name, feature in FEATURES.items()
        if not has.get(name, no("")).yes and (uses := list(feature.find(model.program)))
    )


def refusal(
    target: str, feature: Feature, instead: str, model: CheckedModel, uses: list[Found]
) -> Diagnostic:
    places = list(dict.fromkeys(span_of(model, use) for use in uses))
    notes = [Note("also here", span) for span in places[1:3]]
    if len(places) > 3:
        notes.append(Note(f"and in {len(places) - 3} more places"))
    return Diagnostic(
        feature.code,
        f"the target `{target}` has no {feature.words}",
        places[0],
        label=uses[0].what,
        help=instead,
        notes=tuple(notes),
    )


def span_of(model: CheckedModel, use: Found) -> Span:
    """The user's line that led to a use; the head of the model if nothing better is known."""
    places = model.places
    if span := span_of_place(model, use.place):
        return span
    if use.value is not None and (span := places.values.get(use.value.id)):
        return span
    return places.names.get(use.name, model.declaration.span)


def span_of_place(model: CheckedModel, place: int) -> Span | None:
    return model.places.outermost(place) if place < len(model.places.gates) else None


# --- discovery ------------------------------------------------------------------------------------


def available() -> dict[str, Callable[[], object]]:
    """Every target by name, as a function that loads it."""
    from importlib.metadata import EntryPoint, entry_points

    points = [EntryPoint(name, path, GROUP) for name, path in FIRST_PARTY.items()]
    points += entry_points(group=GROUP)
    return {point.name: point.load for point in points}


def load(name: str) -> Target:
    found = available()
    if name not in found:
        raise TargetError(f"no target is called `{name}`" + suggestion(name, found))
    try:
        target = found[name]()
    except Exception as error:  # anything may happen in a plug-in
        raise TargetError(f"the target `{name}` does not load: {error}") from error
    if not isinstance(target, Target):
        raise TargetError(f"the plug-in `{name}` is no target: it lacks name, doc or a method")
    return target


@contextmanager
def plugged_in(target: Target) -> Iterator[None]:
    """What breaks in here is the plug-in's own bug, if the target is somebody else's."""
    try:
        yield
    except TargetError:
        raise
    except Exception as error:
        module = type(target).__module__
        if module.partition(".")[0] != "qrlang":
            error.add_note(f"in the plug-in {module}, which provides the target `{target.name}`")
        raise
