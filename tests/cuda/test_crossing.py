"""Two blocks that exchange half of their state once in a layer: which maps allow it, and that
nothing is lost on the way."""

import random
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parent.parent / "engine"))
sys.path.insert(0, str(Path(__file__).parent))

from cuda_programs import wired
from engine_programs import qrnn
from test_printer import check, emulated

from qrlang.engine.bodies import walk_nodes
from qrlang.engine.cuda import printer
from qrlang.engine.cuda.layout.crossing import Crossing
from qrlang.engine.cuda.layout.mapping import Mapping, choose
from qrlang.engine.cuda.layout.memory import geometries
from qrlang.engine.gf2 import Affine, cnot
from qrlang.engine.nodes import Circuit, Layer
from qrlang.engine.plan import plan


def layers_of(program):
    circuits = [n for n in walk_nodes(plan(program).body) if isinstance(n, Circuit)]
    return [layer for c in circuits for layer in c.layers]


def wires(n, pairs):
    out = Affine.identity(n)
    for control, target in pairs:
        out = cnot(n, control, target).after(out)
    return Layer(out, (), ())


def test_what_a_ring_makes_of_others():
    ring = wires(6, [(q, (q + 1) % 6) for q in range(6)])
    assert Crossing.of([ring, ring], 6) == Crossing(0, 0b111110)
    line = wires(6, [(q, q + 1) for q in range(5)])
    assert Crossing.of([line], 6) is None  # each qubit is among what the line makes it of
    assert Crossing.of([ring, line], 6) is None
    assert Crossing.of([], 6) is None


@pytest.mark.parametrize("seed", range(40))
def test_maps_bring_a_block_what_it_has(seed):
    """By the definition: of all amplitudes, and of those that are exchanged half go."""
    dice = random.Random(seed)
    n = dice.randint(3, 7)
    layer = wires(n, [dice.sample(range(n), 2) for _ in range(dice.randint(1, 3 * n))])
    found = Crossing.of([layer], n)
    possible = [p for p in range(n) if not layer.map.linear(1 << p) >> p & 1]
    assert (found is None) == (not possible)
    if found:
        assert found.qubit in possible
        inner, between = found.layouts(n)
        top = n - 1
        for index in range(1 << n):
            moved = layer.map(index)
            assert between(index) >> top == inner(moved) >> top == moved >> found.qubit & 1
        for layout in (inner, between):
            assert len({layout(i) for i in range(1 << n)}) == 1 << n
        assert sum(inner(i) >> top == between(i) >> top for i in range(1 << n)) == 1 << top
        # What comes lies where something was that went.
        low, pivot = (1 << top) - 1, inner(1 << found.pivot)
        assert {(inner(i) ^ between(i)) & low for i in range(1 << n)} == {0, pivot}


@emulated
@pytest.mark.parametrize(
    ("seed", "n", "registers", "layers", "ring", "crosses"),
    [
        (3, 8, 2, 2, True, True),  # the qubit that tells blocks apart is flipped every time
        (9, 9, 3, 1, True, True),  # neither that nor the pivot is rotated
        (6, 8, 2, 3, False, True),  # the parity is that of one qubit
        (11, 7, 1, 2, False, True),
        (4, 7, 1, 1, False, False),
    ],
)
def test_gradients(seed, n, registers, layers, ring, crosses):
    program = wired(seed, n, layers, ring)
    mapping = Mapping("float64", 90, n - registers, registers, 1)
    (geometry,) = geometries(plan(program), mapping)
    assert (geometry.crossing is not None) == crosses
    check(program, mapping, 2, 2, [2, 1], limit=1e-10, order=seed % 3, races=True)


@pytest.mark.parametrize("n", [14, 15, 16])
@pytest.mark.parametrize("backward", [False, True])
def test_what_goes_to_other_blocks_is_not_strewn(n, backward):
    """Lanes count along the lowest bits where it does, eight amplitudes at least: where a layer
    begins, and where it goes on in its second half, or there where halves are exchanged."""
    found = plan(qrnn(n, 2, width=32, features=8))
    (geometry,) = geometries(found, choose(found, 64), backward)
    phases = geometry.phases(range(n))
    if geometry.crossing:
        places = [phases[-1].place]
    elif backward:
        inner = [p.place for p in phases if p.place.inner]
        places = [inner[-1], inner[0]]
    else:
        places = [phases[0].place, next(p.place for p in phases if not p.place.inner)]
    assert (geometry.crossing is not None) == (n == 14)
    for place in places:
        where = geometry.layout(place.inner)
        assert [where.linear(v) for v in place.threads[:3]] == [1, 2, 4]


def test_one_exchange_in_a_layer():
    """At 14 qubits: 16 of the 32 amplitudes of a thread, of the state and of its costate."""
    found = plan(qrnn(14, 2, width=32, features=8))
    mapping = choose(found, 128)
    assert (mapping.cluster, mapping.registers) == (1, 5)
    source = printer.write(found, mapping)
    for code, kind, states in zip(source.codes, ("forward", "backward"), (1, 2), strict=True):
        assert code.count(f"__noinline__ void {kind}") == 1  # both layers are calls of it
        assert code.count(" = far_load<") == 16 * states and "far_store<" not in code


@emulated
def test_fourteen_qubits_as_they_are_run():
    """The very text of a large GPU, against the interpreter, every access watched."""
    program = qrnn(14, 2, width=32, features=8)
    mapping = choose(plan(program), 128)
    check(program, mapping, 2, 2, [2, 1], limit=2e-4, order=3, races=True)
