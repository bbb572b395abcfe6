"""What an emitted model derives from: an ordinary `nn.Module`, with roads, lengths and shots."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Mapping
from threading import get_ident
from typing import Any

import torch
from torch import Tensor

from qrlang.backends.torch.calls.interface import Interface, Lengths
from qrlang.backends.torch.calls.run import Run
from qrlang.backends.torch.calls.segment import Segment, why_not_segments
from qrlang.backends.torch.calls.sequence import Sequence
from qrlang.backends.torch.emit.fingerprint import fingerprint as fingerprint_of
from qrlang.backends.torch.native import road as native
from qrlang.backends.torch.ops import may_look
from qrlang.backends.torch.roads import Road, road_of


class Model(Interface):
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

    def __init__(self, road: str | int | None = None) -> None:
        super().__init__(road)
        self.processor: Any = None  # a quantum device in place of all simulation
        self._locate = False
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

    def _no_segments(self) -> str:
        if not self.program:
            return ""  # written by hand: who writes it knows
        if self.trajectories:
            return "`trajectories` is set, and samples are weighed over the whole sequence"
        return why_not_segments(self.program)

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
        batch, inputs = self._arrived(lengths, inputs)
        run = Run(self, batch, stepwise=self.chosen_road() != "plain", locate=self._locate)
        run.call = (lengths, inputs)
        run.segment, run.look, run.processor = self._segment, self._look, self.processor
        return (run, *self._padded(lengths, inputs))

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


def written(cls: type[Model], program: str, fingerprint: str) -> None:
    """At the end of an emitted file: the program that it was written from."""
    frame = sys._getframe(1)
    lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)
    above, mark, _ = "".join(lines).rpartition("qr.written(")
    cls.program = program
    cls.edited = not mark or fingerprint_of(above) != fingerprint
