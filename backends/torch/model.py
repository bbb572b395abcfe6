"""What an emitted model derives from: an ordinary `nn.Module`, with roads, lengths and shots."""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Mapping
from itertools import pairwise
from numbers import Real
from threading import get_ident
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn

from qrlang.backends.torch.calls.run import Run
from qrlang.backends.torch.calls.segment import Segment, why_not_segments
from qrlang.backends.torch.calls.sequence import Sequence
from qrlang.backends.torch.circuits.matrices import complex_of
from qrlang.backends.torch.emit.fingerprint import fingerprint as fingerprint_of
from qrlang.backends.torch.native import road as native
from qrlang.backends.torch.native.cuda import Faults
from qrlang.backends.torch.ops import may_look
from qrlang.backends.torch.roads import Road, road_of

Checks = Literal["now", "later"]
Lengths: TypeAlias = Any  # None, a tensor [batch], or one for each input by its name
_TYPE = re.compile(r"(?P<seq>seq\[)?(?P<kind>[a-z]+)(\[(?P<dims>[\d, ]*)\])?\]?")


class Model(nn.Module):
    """The base of a model. A derived class says its `inputs` and writes its `forward`.

    road: "native" (the whole loop in one kernel), "stepwise" (one shared reversible state) or
        "plain" (torch only); None takes the fastest that fits.
    shots: readouts from that many shots; 0 is exact.
    trajectories: states that don't stay pure are sampled, that many for each sequence; 0 is
        exact, by density matrices.
    readout_error: the probability that a bit is read wrongly.
    gate_error: depolarising noise on each qubit that a gate touches.
    generator: for all that is drawn by lot; None is torch's own.
    checks: when road 1 on a GPU raises what was not finite or out of range: "now" waits for each
        call, "later" raises it in the next call or in `settle()`, so that nothing waits.
    """

    inputs: ClassVar[Mapping[str, str]] = {}
    program: ClassVar[str] = ""  # the IR that the class was written from
    edited: ClassVar[bool] = True  # whether the class may say something else by now

    def __init__(self, road: str | int | None = None) -> None:
        super().__init__()
        self.register_buffer("_like", torch.zeros(()), persistent=False)
        self.road = road
        self.shots = 0
        self.trajectories = 0
        self.readout_error = 0.0
        self.gate_error = 0.0
        self.generator: torch.Generator | None = None
        self._checks: Checks = "now"
        self.faults = Faults()
        self.processor: Any = None  # a quantum device in place of all simulation
        self._locate = False
        self._segments: dict[int, Segment] = {}  # of a longer time, while it runs: by thread
        self._look: Any = None  # see `Lanes.look`

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result; with `state=`, of a segment: the result, and the state after it.

        state: what the segment before has left; None at the beginning. Gradients end there.
        """
        compiled = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
        if compiled and self.road != "plain":
            # Not as a decorator: that would import torch's compiler, a second of everybody's time.
            return torch.compiler.disable(_as_it_is)(self, *args, **kwargs)
        if torch.is_autocast_enabled(self.like.device.type):
            with torch.autocast(self.like.device.type, enabled=False):  # angles of three digits
                return self(*args, **kwargs)
        if "state" not in kwargs:
            return super().__call__(*args, **kwargs)
        reason = self._no_segments()
        if reason:
            raise ValueError(f"{type(self).__name__} cannot run in segments: {reason}")
        segment = Segment(kwargs.pop("state"))
        self._segments[get_ident()] = segment
        try:
            return super().__call__(*args, **kwargs), segment.left()
        finally:
            del self._segments[get_ident()]

    @property
    def _segment(self) -> Segment | None:
        """Of the present call, if it is one of a longer time."""
        return self._segments.get(get_ident()) if self._segments else None

    def _no_segments(self) -> str:
        if not self.program:
            return ""  # written by hand: who writes it knows
        if self.trajectories:
            return "`trajectories` is set, and samples are weighed over the whole sequence"
        return why_not_segments(self.program)

    @property
    def checks(self) -> Checks:
        return self._checks

    @checks.setter
    def checks(self, when: Checks) -> None:
        if when not in ("now", "later"):
            raise ValueError(f'`checks` is "now" or "later"; found {when!r}')
        self._checks = when

    @property
    def like(self) -> Tensor:
        """Follows `.to(…)`: says dtype and device."""
        return self._like

    def native(self, lengths: Lengths, **inputs: Tensor) -> Any:
        """The result by road 1, or None if this call takes another."""
        if self._locate or self.chosen_road() != "native":
            return None
        found = native.call(self, lengths, inputs)
        if native.machine(self) == "cpu":  # a GPU is not waited for: it has its own check
            for value in found.values() if isinstance(found, dict) else (found,):
                if bool(torch.isnan(value).any()):
                    self._say_where(lengths, inputs)
        return found

    def settle(self) -> None:
        """With `checks = "later"`: waits for all calls so far, and raises what was wrong."""
        self.faults.look(wait=True)

    def chosen_road(self) -> Road:
        """The road of the next call; an error if the one asked for is not open."""
        if self.like.dtype not in (torch.float32, torch.float64):
            kind = str(self.like.dtype).removeprefix("torch.")
            raise TypeError(f"states are of float32 or float64, not {kind}: use `.float()`")
        return "plain" if self.processor is not None else road_of(self)

    def begin(self, lengths: Lengths, **inputs: Tensor) -> Any:
        """The run of one call and its inputs, checked, cast and padded with zeros."""
        self._noise_fits()
        self._named(lengths)
        inputs = _tensors(inputs)
        kinds = {name: _parse(self.inputs[name]) for name in inputs}
        batch = self._batch(inputs)
        run = Run(self, batch, stepwise=self.chosen_road() != "plain", locate=self._locate)
        run.call = (lengths, inputs)
        run.segment, run.look, run.processor = self._segment, self._look, self.processor
        made: list[Tensor | Sequence] = []
        for name, kind in kinds.items():
            x = self._input(name, inputs[name], kind)
            if kind.seq:
                own = self._lengths(name, _own(lengths, name, kind), x)
                sequence = Sequence(x, own, kind.rank).clean()
                self._fits(name, sequence.data, kind)
                made.append(sequence)
            else:
                self._fits(name, x, kind)
                made.append(x)
        return (run, *made)

    def checked(self, lengths: Lengths, inputs: Mapping[str, Tensor]) -> Any:
        """Inputs and the lengths of each, as the native kernel takes them."""
        self._named(lengths)
        inputs = _tensors(inputs)
        self._batch(inputs)
        made, own = [], []
        for name, given in inputs.items():
            kind = _parse(self.inputs[name])
            x = self._input(name, given, kind)
            length = _own(lengths, name, kind)
            look = self.like.device.type == "cpu"  # on a GPU the kernel does, without waiting
            own.append(None if length is None else self._lengths(name, length, x, look))
            made.append(x)
        return made, own

    def _noise_fits(self) -> None:
        for name in ("shots", "trajectories"):
            value = getattr(self, name)
            if value and not (isinstance(value, int) and value > 0):
                raise ValueError(f"`{name}` is a whole number, 0 for exact; found {value!r}")
        for name in ("readout_error", "gate_error"):
            value = getattr(self, name)
            if value and not (isinstance(value, Real) and 0 <= float(value) <= 1):
                raise ValueError(f"`{name}` is a probability, from 0 to 1; found {value!r}")

    def _named(self, lengths: Lengths) -> None:
        """A name misspelled would be a sequence of full length."""
        if isinstance(lengths, Mapping):
            sequences = [name for name, kind in self.inputs.items() if _parse(kind).seq]
            for name in lengths:
                if name not in sequences:
                    has = ", ".join(f"`{n}`" for n in sequences) or "none"
                    raise ValueError(f"lengths of `{name}`: the sequences are {has}")

    def _batch(self, inputs: Mapping[str, Tensor]) -> int:
        sizes = {n: x.shape[0] for n, x in inputs.items() if isinstance(x, Tensor) and x.dim()}
        if any(b != c for b, c in pairwise(sizes.values())):
            said = ", ".join(f"`{n}` has {b}" for n, b in sizes.items())
            raise ValueError(f"inputs are for different numbers of sequences: {said}")
        return next(iter(sizes.values()), 1)

    def _lengths(
        self, name: str, lengths: Tensor | None, x: Tensor, look: bool = True
    ) -> Tensor | None:
        if lengths is None:
            return None
        lengths = torch.as_tensor(lengths)
        if lengths.is_floating_point():
            raise TypeError(f"lengths of `{name}` are whole numbers, not {lengths.dtype}")
        look = may_look(lengths) and (look or lengths.device.type == "cpu")
        batch, time = x.shape[:2]
        wrong = lengths.shape != (batch,)
        if wrong or (look and bool(((lengths < 1) | (lengths > time)).any())):
            found = f"found {_short(lengths)}"
            raise ValueError(
                f"lengths of `{name}`: {batch} numbers from 1 to {time}, its time axis; {found}"
            )
        return lengths.to(self.like.device).long()

    def _input(self, name: str, x: Tensor, kind: _Kind) -> Tensor:
        """An input of the right shape, on the model's device and of its dtype."""
        if x is None:
            raise TypeError(f"input `{name}` is {self.inputs[name]}, and got None")
        x = torch.as_tensor(x).to(self.like.device)
        if x.is_complex() and not kind.complex:
            raise TypeError(f"input `{name}` is {self.inputs[name]}: real numbers, not {x.dtype}")
        if x.dim() != kind.rank + 1 + kind.seq or tuple(x.shape[1 + kind.seq :]) != kind.shape:
            axes = ["batch"] + ["time"] * kind.seq + [str(d) for d in kind.shape]
            raise ValueError(
                f"input `{name}` is {self.inputs[name]}: it takes [{', '.join(axes)}], "
                f"and got {list(x.shape)}"
            )
        if not x.shape[0]:
            raise ValueError(f"input `{name}` is of no sequences at all: {list(x.shape)}")
        if kind.seq and not x.shape[1]:
            raise ValueError(f"the sequences of `{name}` have no moments at all: {list(x.shape)}")
        if kind.number:
            complex_too = kind.complex and x.is_complex()
            return x.to(complex_of(self.like.dtype) if complex_too else self.like.dtype)
        if x.is_floating_point():
            raise TypeError(f"input `{name}` is {self.inputs[name]}: whole numbers, not {x.dtype}")
        return x.long()

    def _fits(self, name: str, x: Tensor, kind: _Kind) -> None:
        if not may_look(x):
            return
        if not kind.number:
            low, high = (int(x.min()), int(x.max())) if x.numel() else (0, 0)
            if low < 0 or high >= kind.size:
                raise ValueError(
                    f"input `{name}` is {self.inputs[name]}, and holds numbers from {low} to {high}"
                )
        elif not bool(torch.isfinite(x).all()):
            at = (~torch.isfinite(x)).nonzero()[0].tolist()
            step = f", step {at[1] + 1}" if kind.seq else ""
            element = f", element {at[1 + kind.seq :]}" if kind.rank else ""
            raise FloatingPointError(
                f"input `{name}` is NaN or infinite in sequence {at[0]}{step}{element}"
            )

    def result(self, run: Run, value: Tensor | Sequence, rank: int) -> Tensor:
        """An output: the mean over shots, [batch, …], without NaN."""
        if run.look is not None:
            run.look("end", [s for s in run.states if s.alive])
        if isinstance(value, Sequence):
            value, rank = value.data, rank + 1
        value = run.mean(value, rank)
        if value.dim() == rank:
            value = value.expand(run.batch, *value.shape)
        if value.is_floating_point() and may_look(value) and bool(torch.isnan(value).any()):
            self._say_where(*run.call)
        return value

    def _say_where(self, lengths: Lengths, inputs: Mapping[str, Tensor]) -> None:
        """NaN has reached the result: run again, looking at every angle."""
        if not self._locate:
            self._locate = True
            segment = self._segment
            if segment is not None:
                self._segments[get_ident()] = Segment(segment.given)
            try:
                with torch.no_grad():
                    self.forward(**inputs, **({} if lengths is None else {"lengths": lengths}))
            finally:
                self._locate = False
                if segment is not None:
                    self._segments[get_ident()] = segment
        raise FloatingPointError(
            "the result is NaN, though every angle on the way was finite: a classical function "
            "was used outside its domain"
        )


def _as_it_is(model: Model, *args: Any, **kwargs: Any) -> Any:
    """A call inside `torch.compile`: it could only unroll all steps, and would lose the kernels."""
    return model(*args, **kwargs)


def _tensors(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays of NumPy and lists too."""
    return {name: x if x is None else torch.as_tensor(x) for name, x in inputs.items()}


def written(cls: type[Model], program: str, fingerprint: str) -> None:
    """At the end of an emitted file: the program that it was written from."""
    frame = sys._getframe(1)
    lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)
    above, mark, _ = "".join(lines).rpartition("qr.written(")
    cls.program = program
    cls.edited = not mark or fingerprint_of(above) != fingerprint


class _Kind:
    def __init__(self, text: str) -> None:
        match = _TYPE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no type")
        kind = match["kind"]
        dims = tuple(int(d) for d in (match["dims"] or "").split(",") if d.strip())
        self.seq = bool(match["seq"])
        self.number = kind in ("real", "bit", "state", "unitary", "angle")
        self.complex = kind in ("state", "unitary")
        self.size = 0 if self.number else (dims or (0,))[0]
        if self.complex:
            self.shape: tuple[int, ...] = (2 ** dims[0],) * (2 if kind == "unitary" else 1)
        else:
            self.shape = dims if self.number else ()
        self.rank = len(self.shape)


_kinds: dict[str, _Kind] = {}


def _parse(text: str) -> _Kind:
    if text not in _kinds:
        _kinds[text] = _Kind(text)
    return _kinds[text]


def _short(lengths: Tensor) -> str:
    numbers = str(lengths.tolist())
    return numbers if len(numbers) <= 60 else f"a tensor {list(lengths.shape)}"


def _own(lengths: Lengths, name: str, kind: _Kind) -> Tensor | None:
    """The lengths of one input: one tensor is for every sequence."""
    if lengths is None or not kind.seq:
        return None
    return lengths.get(name) if isinstance(lengths, Mapping) else lengths
