"""A unitary segment as CUDA C++: done on states that the caller keeps (`forward`), and undone on a
state and its cotangent together, with the gradients of the angles (`backward`)."""

from __future__ import annotations

from qrlang.engine import nodes
from qrlang.engine.cuda.layout.mapping import Mapping, choose
from qrlang.engine.cuda.printer import Printer
from qrlang.engine.cuda.source import BATCH, Argument, Shape, Source, fixed
from qrlang.engine.nodes import Plan, Refusal, Row
from qrlang.engine.segment import Segment

GIVEN, ANGLES = range(2)  # slots


def emit(segment: Segment, batch: int, dtype: str = "float32", arch: int = 90) -> Source | Refusal:
    """States are complex [batch, 2^n], angles real [batch, count]; arguments of these kinds:

    state, cotangent    given; in `backward` those after the segment
    angles              given
    state_out, cotangent_out, angle_gradient    results; states come out with norm one

    The cotangent is dL/dRe + i dL/dIm."""
    mapping = choose(plan_of(segment), batch, dtype, arch)
    return mapping if isinstance(mapping, Refusal) else write(segment, mapping)


def write(segment: Segment, mapping: Mapping) -> Source:
    return SegmentPrinter(plan_of(segment), mapping).print()


def plan_of(segment: Segment) -> Plan:
    """As a body of its own: angles from those given, then the layers."""
    rows: list[Row] = []
    layers = []
    for mine, layer in zip(segment.rows, segment.layers, strict=True):
        first = len(rows)
        rows += mine
        layers.append(
            nodes.Layer(
                layer.map,
                tuple((m, first + r) for m, r in layer.terms),
                tuple((b, first + r) for b, r in layer.rotations),
            )
        )
    body = (
        nodes.Rows(ANGLES, tuple(rows)),
        nodes.Circuit(0, -1, ANGLES, tuple(layers)),
    )
    slots = (segment.count, len(rows))
    return Plan("", (), (), (), slots, 2, (), (segment.n,), (False,), body, ())


class SegmentPrinter(Printer):
    def _arguments(self) -> list[Argument]:
        count, n = self.count(GIVEN), self.plan.spaces[0]
        state: Shape = (BATCH, fixed(2 << n))
        row: Shape = (BATCH, fixed(count))
        out = [Argument("batch", "B", type="int64"), Argument("state", "psi", shape=state)]
        if self.backward:
            out.append(Argument("cotangent", "g", shape=state))
        out += [Argument("angles", "angles", shape=row), *self._workspace()]
        out.append(Argument("state_out", "psi_out", shape=state))
        if self.backward:
            out.append(Argument("cotangent_out", "g_out", shape=state))
            out.append(Argument("angle_gradient", "dangles", shape=row))
            return out
        return [*out, Argument("error", "error", type="int64")]

    def _buffers(self, s: int) -> list[str]:
        return ["P", "Px", "Q", "Qx"] if self.backward else ["P", "Px"]

    def _angles(self) -> None:
        out, count = self.out, self.count(GIVEN)
        with self.rows(count) as r:
            out(f"{self.value(GIVEN, r)} = angles[b * {count} + {r}];")
        self.writes("v", GIVEN, True)
        self.forward_node(self.plan.body[0])

    def _take(self) -> None:
        out, n = self.out, self.plan.spaces[0]
        with self.amplitudes(0) as (x, here, costate):
            for there, goal in [("psi", here), ("g", costate)][: 1 + self.backward]:
                with out.block(""):
                    out("C y; y.x = F(0); y.y = F(0);")
                    out(f"if ({x} < {1 << n}u) y = ((const C*){there})[b * {1 << n} + {x}];")
                    out(f"{goal} = y;")
        self.barrier(far=True)

    def _give(self) -> None:
        """With norm one: rounding makes it drift."""
        out, n = self.out, self.plan.spaces[0]
        self.norm_of(0)
        out(f"const F one = unit({self._norm(0)});")
        with (
            self.amplitudes(0) as (x, here, costate),
            out.block(f"if (real && {x} < {1 << n}u)"),
        ):
            for there, source in [("psi_out", here), ("g_out", costate)][: 1 + self.backward]:
                with out.block(""):
                    out(f"C y = {source};", "y.x *= one; y.y *= one;")
                    out(f"((C*){there})[b * {1 << n} + {x}] = y;")
        if self.mapping.cluster:
            self.barrier(far=True)

    def _forward(self) -> None:
        circuit = self.plan.body[1]
        assert isinstance(circuit, nodes.Circuit)
        self._angles()
        self._take()
        self.circuit_forward(circuit, read=False, report=True)
        self._give()

    def _backward(self) -> None:
        out = self.out
        circuit = self.plan.body[1]
        assert isinstance(circuit, nodes.Circuit)
        self._angles()
        for slot in (GIVEN, ANGLES):
            with self.rows(self.count(slot)) as r:
                out(f"{self.adjoint(slot, r)} = F(0);")
            self.writes("a", slot, True)
        self._take()
        self.circuit_backward(circuit)
        self.backward_node(self.plan.body[0])
        count = self.count(GIVEN)
        self.reads("a", GIVEN, True)
        with self.rows(count) as r, out.block(f"if ({self.only})"):
            # The costate is half of a gradient with respect to both parts.
            out(f"dangles[b * {count} + {r}] = F(0.5) * {self.adjoint(GIVEN, r)};")
        self._give()
