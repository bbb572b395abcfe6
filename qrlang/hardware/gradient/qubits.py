"""Qubits that are on a device: what takes the place of a state vector in a torch model.

Nothing is computed here. What happens to the qubits is written down, with the tensors that the
angles came from; a readout sends the circuit so far for every sequence that is still going, and
is a tensor whose slopes along all those angles come from shifted circuits. Everything between
readouts and angles is ordinary autograd, so a later angle that depends on an earlier readout is
differentiated by the chain rule.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from qrlang.hardware.device import DeviceError, Step
from qrlang.hardware.gradient.gates import Moved
from qrlang.hardware.gradient.session import Group, Move, Readout, Session
from qrlang.hardware.readings import Distribution, Quantity, Word
from qrlang.ir.pauli import all_commute

MOST_EXACT_TERMS = "its terms do not commute: say into how many steps to split it, `trotter 8`"


class DeviceQubits:
    """The same methods as those of qubits in torch, as far as a device goes along."""

    density = False

    def __init__(self, session: Session, run: Any, n: int, name: str) -> None:
        self.session, self.run, self.n, self.name = session, run, n, name
        self.alive = True
        self.moves: list[Move] = [Move(session.lowered.plain(), None, None, n)]
        self.count = n  # wires so far
        self.wires: list[int] = list(range(n))
        self._known: dict[Any, tuple[Any, Any]] = {}  # since the last gate
        run.states.append(self)

    # --- what happens to them -------------------------------------------------------------------

    def apply(self, circuit: Any, **vectors: Any) -> None:
        self._angles(self.session.lowered.circuit(circuit, self.wires), vectors)

    def evolve(self, strings: Any, coefficients: Any, time: Any, trotter: int = 0) -> None:
        if not trotter and not all_commute(strings):
            raise DeviceError(f"an exact evolution of `{self.name}`", MOST_EXACT_TERMS)
        times = max(trotter, 1)
        angles = 2 * coefficients * time[..., None] / times
        moved = self.session.lowered.evolution(tuple(strings), times, self.wires)
        self._angles(moved, {"evolved": angles})

    def reset(self, *qubits: int) -> None:
        self._add(*(Step("reset", (self.wires[q],)) for q in qubits))

    def mix(self, *qubits: int) -> None:
        """Halves of entangled pairs whose other halves nobody reads."""
        for q in qubits:
            half, w = self.count, self.wires[q]
            self.count += 1
            self._add(Step("h", (half,)), Step("x", (w,), controls=(half,)), qubits=1)

    def channel(self, name: str, qubits: tuple[int, ...], args: Any) -> None:
        if torch.is_grad_enabled() and args.requires_grad:
            raise DeviceError(
                f"the strength of `{name}` is trained, and its slope takes more than shifted angles"
            )
        self.run.watch(self.name, {name: args})
        rows = args.detach().cpu().double().reshape(-1, args.shape[-1]).numpy()
        if np.any((rows < 0) | (rows > 1)):
            raise DeviceError(f"{name}: its numbers have to be probabilities")
        going = self._going()
        # Each strength to the sequences that have it.
        strengths, which = np.unique(rows, axis=0, return_inverse=True)
        for k, given in enumerate(strengths.tolist()):
            what = Step(name, tuple(self.wires[q] for q in qubits), tuple(given))
            lanes = np.broadcast_to(which.reshape(-1) == k, self.run.batch)
            self._keep(Move(self.session.lowered.plain(what), None,
                            lanes if going is None else lanes & going))  # fmt: skip

    def free(self, *qubits: int) -> None:
        """Whoever uses their places again gets fresh ones."""
        if len(qubits) == self.n:
            self.alive = False
            return
        for q in qubits:
            self.wires[q] = self.count
            self.count += 1
            self._add(qubits=1)

    def __getattr__(self, name: str) -> Any:
        raise DeviceError(f"a model that is trained on a device has no `{name}`")

    def _angles(self, moved: Moved, vectors: dict[str, Any]) -> None:
        self.run.watch(self.name, vectors)
        if not moved.angles:
            self._keep(Move(moved, None, self._going()))
            return
        numbers = moved.numbers(vectors, self.run.like)
        self._keep(Move(moved, numbers.expand(self.run.batch, len(moved.angles)), self._going()))

    def _add(self, *steps: Step, qubits: int = 0) -> None:
        self._keep(Move(self.session.lowered.plain(*steps), None, self._going(), qubits))

    def _keep(self, move: Move) -> None:
        self.moves.append(move)
        self._known.clear()

    def _going(self) -> Any:
        mask = self.run.mask
        return None if mask is None else mask.detach().cpu().numpy().astype(bool)

    # --- readouts -------------------------------------------------------------------------------

    def read(self, observables: Any, shots: int = 0, weak: float = 0.0) -> Any:
        if weak:
            raise DeviceError("a model that is trained on a device has no weak readouts")
        strings = [s for s in observables.strings if s]
        words = tuple(Word(tuple(sorted((self.wires[q], p) for q, p in s))) for s in strings)
        found = self._asked(words, len(words), shots)
        like = self.run.like
        table = dict(zip(observables.strings, observables.coefficients, strict=True))
        values = like.new_tensor(np.array(table.get((), np.zeros(len(observables)))))
        values = values.expand(self.run.batch, len(observables))
        if strings:
            values = values + found @ like.new_tensor(np.array([table[s] for s in strings]))
        return values

    def probabilities(self, *qubits: int, shots: int = 0) -> Any:
        asked = Distribution(tuple(self.wires[q] for q in qubits))
        return self._asked((asked,), 1 << len(qubits), shots)

    def _asked(self, quantities: tuple[Quantity, ...], width: int, shots: int) -> Any:
        going = self._going()
        if (quantities, shots) in self._known:  # read before, and nothing has happened since
            before, found = self._known[quantities, shots]
            if before is None or (going is not None and not np.any(going & ~before)):
                return found
        moves = [m for m in self.moves if m.angles is not None]
        lanes = range(self.run.batch) if going is None else np.flatnonzero(going).tolist()
        groups = self._groups(lanes, moves)
        track = torch.is_grad_enabled()
        wanted = [track and bool(m.angles.requires_grad) for m in moves]
        readout = Readout(self.run.batch, groups, moves, wanted, quantities, shots)
        made = _Read.apply(
            self.session, readout, width, self.run.like, *(m.angles for m in moves),
        )  # fmt: skip
        self._known[quantities, shots] = going, made
        return made

    def _groups(self, lanes: Any, moves: list[Move]) -> list[Group]:
        """The sequences by what has happened to them."""
        number = {id(m): i for i, m in enumerate(moves)}
        tables = [m.angles.detach().cpu().double().numpy() for m in moves]
        by_path: dict[tuple[bool, ...], list[int]] = {}
        for lane in lanes:
            path = tuple(m.lanes is None or bool(m.lanes[lane]) for m in self.moves)
            by_path.setdefault(path, []).append(lane)
        found = []
        for path, rows in by_path.items():
            tree, node, mine = self.session.desk.tree, self.session.desk.tree.root, []
            for here, move in zip(path, self.moves, strict=True):
                if not here:
                    # A qubit that others have got is there for all: wires are numbered alike.
                    node = tree.after(node, ("none", move.qubits), (), 0,
                                      node.qubits + move.qubits, 0)  # fmt: skip
                    continue
                node = tree.after(node, (move.what, move.qubits), move.what.steps,
                                  len(move.what.angles), node.qubits + move.qubits, 0)  # fmt: skip
                if id(move) in number:
                    mine.append(number[id(move)])
            parts = [tables[m][rows] for m in mine]
            table = np.concatenate(parts, 1) if parts else np.zeros((len(rows), 0))
            found.append(Group(node, rows, mine, table))
        return found


class _Read(torch.autograd.Function):  # type: ignore[misc]
    """Values of a readout; backwards, the slopes along every angle of its circuit."""

    @staticmethod
    def forward(
        ctx: Any, session: Session, readout: Readout, width: int, like: Any, *angles: Any
    ) -> Any:
        ctx.session, ctx.readout, ctx.dtype = session, readout, like.dtype
        if any(readout.wanted):
            session.readouts.append(readout)
        found = session.values(readout, width)
        return like.new_tensor(found)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        (g,) = upstream
        out: list[Any] = [None, None, None, None]
        for slope in ctx.session.slopes(ctx.readout):
            if slope is None:
                out.append(None)
            else:
                table = torch.as_tensor(slope, dtype=torch.float64)
                made = torch.einsum("bv,bvs->bs", g.double().cpu(), table)
                out.append(made.to(device=g.device, dtype=ctx.dtype))
        return tuple(out)
