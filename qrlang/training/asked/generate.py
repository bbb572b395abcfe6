"""A model that goes on by itself: what it foretells becomes what it is given next.

That is for data whose target is its input some moments later, as the data itself shows: the next
character of a text, or a series one moment ahead (or ten: then ten are foretold at once).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from qrlang.engine.resumable import why_not
from qrlang.errors import TrainingError
from qrlang.training import losses
from qrlang.training.data.foretold import Foretold, alike, as_input
from qrlang.training.data.ports import Array, Port, dtype_of, moment_shape, ports_of
from qrlang.training.feed import SEGMENT, Batch
from qrlang.training.objective import Objective
from qrlang.training.segments import State
from qrlang.training.settings import Settings


@dataclass(frozen=True)
class Generator:
    objective: Objective
    ahead: int  # how many moments before it comes a moment is foretold
    window: int  # from so many last moments; 0: from a state that goes on
    span: int  # moments that a state goes on for, as in training; 0: for good
    pick: Callable[[Array], Array]  # from outputs to what the model is given

    def __call__(self, known: Sequence[Array], count: int) -> Array:
        """[time, …] of each row -> [rows, count, …], what follows. Where numbers run away to
        infinity the rest is NaN."""
        found: list[Array] = []
        try:
            for new in self._blocks(known, count):
                found.append(new)
        except FloatingPointError as error:
            if len(known) > 1:  # one of them spoils the others
                return np.concatenate([self([x], count) for x in known])
            if not found or found[0].dtype.kind != "f":
                raise TrainingError(str(error), "train it at a lower rate") from None
            shape = (1, count - len(found) * self.ahead, *found[0].shape[2:])
            found.append(np.full(shape, np.nan, np.float32))
        return np.concatenate(found, 1)[:, :count]

    def _blocks(self, known: Sequence[Array], count: int) -> Iterator[Array]:
        """`ahead` moments at a time."""
        walk = (_Windows if self.window else _States)(self, known)
        lost = np.zeros(len(known), bool)
        for k in range(-(-count // self.ahead)):
            new = walk.next()
            if new.dtype.kind == "f":
                lost |= ~(np.abs(new) < _RUNAWAY).reshape(len(new), -1).all(1)
                yield np.where(lost.reshape(-1, *(1,) * (new.ndim - 1)), np.nan, new)
                new[lost] = 0
            else:
                yield new
            if (k + 1) * self.ahead < count:
                walk.take(new)


_WARM = 2000  # last moments of a long series that a state is warmed up with
_RUNAWAY = 1e6  # in the units of the model, whose numbers are near 1


class _States:
    """A model that says something at every step: its state goes on."""

    def __init__(self, by: Generator, known: Sequence[Array]) -> None:
        self.by, self.known = by, [x[-_WARM:] for x in known]
        self.state: State = None
        self.age = 0
        self._take(self.known)

    def next(self) -> Array:
        return self.ahead

    def take(self, new: Array) -> None:
        if not self.by.span:
            self._take(list(new))
            return
        self.known = _longer(self.known, new, self.by.span)
        if self.age + new.shape[1] <= self.by.span:
            self._take(list(new))
        else:  # begun anew, as in training, with the last moments to warm it up
            self.state, self.age = None, 0
            self._take([x[-max(self.by.span // 2, self.by.ahead) :] for x in self.known])

    def _take(self, moments: Sequence[Array]) -> None:
        if self.by.span and self.state is None:
            moments = [x[-self.by.span :] for x in moments]
        batch = _batch(self.by.objective, moments)
        states = [self.state]
        with torch.no_grad():
            output, *_ = self.by.objective.forward(batch, states)
        self.state = states[-1]
        self.age += max(map(len, moments))
        ends = np.array([len(x) for x in moments])[:, None] - np.arange(self.by.ahead, 0, -1)
        said = output.double().cpu().numpy()[np.arange(len(moments))[:, None], ends]
        self.ahead = _picked(self.by, said.reshape(-1, *said.shape[2:]))


class _Windows:
    """A model that says one thing of the last moments."""

    def __init__(self, by: Generator, known: Sequence[Array]) -> None:
        self.by = by
        self.known = [x[-(by.window + by.ahead - 1) :] for x in known]

    def next(self) -> Array:
        w, ahead = self.by.window, self.by.ahead
        ends = [[x[: len(x) - back][-w:] for back in range(ahead - 1, -1, -1)] for x in self.known]
        with torch.no_grad():
            windows = [window for row in ends for window in row]
            output, *_ = self.by.objective.forward(_batch(self.by.objective, windows))
        return _picked(self.by, output.double().cpu().numpy())

    def take(self, new: Array) -> None:
        keep = self.by.window + self.by.ahead - 1
        self.known = _longer(self.known, new, keep)


def _longer(known: Sequence[Array], new: Array, most: int) -> list[Array]:
    return [np.concatenate(both)[-most:] for both in zip(known, new, strict=True)]


def _picked(by: Generator, said: Array) -> Array:
    """[rows · ahead, …] -> [rows, ahead, …]."""
    picked = by.pick(said)
    return picked.reshape(-1, by.ahead, *picked.shape[1:])


def _batch(objective: Objective, moments: Sequence[Array]) -> Batch:
    name = objective.program.inputs[0].name
    lengths = np.array([len(x) for x in moments])
    padded = np.zeros((len(moments), lengths.max(), *moments[0].shape[1:]), moments[0].dtype)
    for row, x in zip(padded, moments, strict=True):
        row[: len(x)] = x
    ragged = {} if (lengths == lengths[0]).all() else {name: lengths}
    return Batch({name: padded}, ragged)


# --- what of a run goes on, and how ---


def generator(
    objective: Objective, settings: Settings, said: Mapping[str, Any],
    temperature: float = 1.0, random: np.random.Generator | None = None,
) -> Generator:  # fmt: skip
    """Of a run, or why there is none. `said`: what it has written down of its data."""
    program = objective.program
    _refuse(objective, said)
    given, wanted = ports_of(program)
    found = Foretold(**said["foretells"])
    scale = {k: (by["shift"], by["divisor"]) for k, by in said.get("scale", {}).items()}
    numbers = given.type.kind == "real"
    cut = found.stream and not numbers and not settings.truncate  # as it is evaluated
    words = said.get("vocabularies", {}).get(wanted.name)
    symbols = None if words is None else len(words["symbols"])
    return Generator(
        objective, found.ahead, found.window,
        max(settings.length or SEGMENT, found.ahead) if cut else 0,
        _of_numbers(as_input((given, wanted), scale), given) if numbers
        else _drawn(wanted, objective.loss[0], temperature, random or np.random.default_rng(0),
                    symbols),
    )  # fmt: skip


def _refuse(objective: Objective, said: Mapping[str, Any]) -> None:
    program = objective.program
    why, help = "", ""
    if not alike(ports_of(program)):
        why = "what it says is not what it is given"
        help = "that is for one input, and a target of the type of its moments"
    elif objective.target in objective.arguments:
        why, help = "it is given its own target, and says whole sentences", "qrlc predict"
    elif "foretells" not in said:
        why = "its run was made by an earlier qrlang, which did not look whether it could"
        help = "train it again"
    elif said["foretells"] is None:
        target, name = objective.target, program.inputs[0].name
        why = f"in its data, `{target}` is not `{name}` of some moments later"
    elif not said["foretells"]["window"]:
        why = why_not(program)
    if why:
        raise TrainingError(f"{program.name} can't go on by itself: {why}", help)


def _of_numbers(converted: Callable[[Array], Array], given: Port) -> Callable[[Array], Array]:
    shape = moment_shape(given.type)
    return lambda x: converted(x.reshape(-1, *shape)).astype(np.float32)


def _drawn(
    port: Port, loss: str, temperature: float, random: np.random.Generator,
    symbols: int | None = None,
) -> Callable[[Array], Array]:  # fmt: skip
    """By the chances that scores are, sharpened; at temperature 0 the likeliest. `symbols`: how
    many of them mean something, where a model has room for more."""

    def draw(x: Array) -> Array:
        if port.type.kind == "bit":
            x = np.stack([0 * x, x], -1).reshape(-1, *moment_shape(port.type), 2)
        else:
            x = losses.scores(torch.as_tensor(x)[:, None], port.type).numpy()[:, 0, :symbols]
        if loss == "nll":
            with np.errstate(divide="ignore"):
                x = np.log(x)
        if temperature:  # the largest of scores with Gumbel's noise is drawn by these chances
            x = x / temperature + random.gumbel(size=x.shape)
        found: Array = x.argmax(-1)
        return found.astype(dtype_of(port.type))

    return draw
