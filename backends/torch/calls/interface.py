"""A model as a call of it sees it: its options, and the inputs that it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from numbers import Real
from threading import get_ident
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn

from qrlang.backends.torch.calls.segment import Segment
from qrlang.backends.torch.calls.sequence import Sequence
from qrlang.backends.torch.circuits.matrices import complex_of
from qrlang.backends.torch.gpu import Faults
from qrlang.backends.torch.ops import may_look

Checks = Literal["now", "later"]
Lengths: TypeAlias = Any  # None, a tensor [batch], or one for each input by its name
_TYPE = re.compile(r"(?P<seq>seq\[)?(?P<kind>[a-z]+)(\[(?P<dims>[\d, ]*)\])?\]?")


class Interface(nn.Module):
    """What `Model` says of its options holds here."""

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
        self._segments: dict[int, Segment] = {}  # of a longer time, while it runs: by thread

    @property
    def _segment(self) -> Segment | None:
        """Of the present call, if it is one of a longer time."""
        return self._segments.get(get_ident()) if self._segments else None

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

    def _arrived(self, lengths: Lengths, inputs: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """How many sequences, and the inputs as tensors: arrays of NumPy and lists too."""
        self._named(lengths)
        found = {name: x if x is None else torch.as_tensor(x) for name, x in inputs.items()}
        return self._batch(found), found

    def _padded(
        self, lengths: Lengths, inputs: Mapping[str, Tensor]
    ) -> Iterator[Tensor | Sequence]:
        """Inputs as torch's own operations take them: with zeros behind the ends."""
        for name, given in inputs.items():
            kind = _parse(self.inputs[name])
            x = self._input(name, given, kind)
            if not kind.seq:
                self._fits(name, x, kind)
                yield x
                continue
            own = self._lengths(name, _own(lengths, name, kind), x)
            sequence = Sequence(x, own, kind.rank).clean()
            self._fits(name, sequence.data, kind)
            yield sequence

    def checked(self, lengths: Lengths, inputs: Mapping[str, Tensor]) -> Any:
        """Inputs and the lengths of each, as the native kernel takes them."""
        _, inputs = self._arrived(lengths, inputs)
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
