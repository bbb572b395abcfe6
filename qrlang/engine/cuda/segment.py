"""A unitary segment as CUDA C++: done on states that the caller keeps (`forward`), and undone on a
state and its cotangent together, with the gradients of the angles (`backward`)."""

from __future__ import annotations

from qrlang.engine import nodes
from qrlang.engine.cuda.mapping import Mapping, choose
from qrlang.engine.cuda.printer import Printer
from qrlang.engine.cuda.source import BATCH, Argument, Shape, Source, fixed
from qrlang.engine.cuda.text import linear, xor
from qrlang.engine.nodes import Plan, Refusal, Row
from qrlang.engine.segment import Segment

GIVEN, ANGLES, NORM = range(3)  # slots


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
    """As a body of its own: angles from those given, the layers, the norm."""
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
        nodes.Circuit(0, -1, ANGLES, (), (0,), NORM),
    )
    slots = (segment.count, len(rows), 1)
    return Plan("", (), (), (), slots, 3, (), (segment.n,), (False,), body, ())


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
        self.node_forward(self.plan.body[0])

    def _each(self, there: str, costate: bool, store: bool) -> None:
        """Between the home and the caller's order; `i` is the slot's index."""
        out, g = self.out, self.geometries[0]
        n = self.plan.spaces[0]
        if g.shared and g.cluster:
            first, count, base = "ln", 1 << g.local, f"(rank << {g.local} | i)"
        else:
            first, count, base = "tid", 1 << g.bits, "i"
        step = self.mapping.group if g.shared else 1 << g.threads
        with out.block(f"for (U i = {first}; i < {count}u; i += {step}u)"):
            at = out.let("U", base, "x")
            low = (1 << g.local) - 1
            slot = xor(linear([c & low for c in g.slots], at))
            past = f" + {g.bytes}" if costate else ""
            home = (
                f"*(C*)(smem + h0 + ({slot}) * {2 * g.size}u{past})" if g.shared
                else f"{'Q' if costate else 'P'}0[{at}]"
            )  # fmt: skip
            far = f"((C*){there})[b * {1 << n} + {at}]"
            if store:
                guard = f"real && {at} < {1 << n}u" if g.bits > n else "real"
                with out.block(f"if ({guard})"):
                    out(f"C x = {home};", "x.x *= unit; x.y *= unit;", f"{far} = x;")
            else:
                out("C x; x.x = F(0); x.y = F(0);")
                out(f"if ({at} < {1 << n}u) x = {far};", f"{home} = x;")

    def _unit(self) -> None:
        """1/norm of the state: rounding makes the norm drift."""
        norm = self.plan.body[2]
        assert isinstance(norm, nodes.Circuit)
        self.circuit_forward(norm, read=True, report=False)
        self.barrier(far=True)
        self.out(f"const F unit = F(1) / FN(sqrt)({self.value(NORM)});")

    def _forward(self) -> None:
        circuit = self.plan.body[1]
        assert isinstance(circuit, nodes.Circuit)
        self._angles()
        self._each("psi", False, False)
        self.barrier(far=True)
        self.circuit_forward(circuit, read=False, report=True)
        self._unit()
        self._each("psi_out", False, True)
        if self.mapping.cluster:
            self.barrier(far=True)

    def _backward(self) -> None:
        out = self.out
        circuit = self.plan.body[1]
        assert isinstance(circuit, nodes.Circuit)
        self._angles()
        for slot in (GIVEN, ANGLES):
            with self.rows(self.count(slot)) as r:
                out(f"{self.adjoint(slot, r)} = F(0);")
            self.writes("a", slot, True)
        self._each("psi", False, False)
        self._each("g", True, False)
        self.barrier(far=True)
        self.circuit_backward(circuit)
        self.node_backward(self.plan.body[0])
        count = self.count(GIVEN)
        self.reads("a", GIVEN, True)
        with self.rows(count) as r, out.block(f"if ({self.only})"):
            # The costate is half of a gradient with respect to both parts.
            out(f"dangles[b * {count} + {r}] = F(0.5) * {self.adjoint(GIVEN, r)};")
        self._unit()
        self._each("psi_out", False, True)
        self._each("g_out", True, True)
        if self.mapping.cluster:
            self.barrier(far=True)
