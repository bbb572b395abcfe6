"""What a plan means, against plain torch in float64: outputs and every gradient. Then the kernels of the
CPU against what a plan means, where only the engine knows: dropout."""

from pathlib import Path

import numpy as np
import pytest
import strategies
import torch_tools as tools
from hypothesis import HealthCheck, given, settings
from plan_interpreter import Interpreter

from qrlang.driver import Compilation
from qrlang.engine.plan import Plan, plan

torch = pytest.importorskip("torch")

from engine_programs import mixed_observables, qrnn  # noqa: E402
from engine_tools import compare, draw  # noqa: E402

from qrlang.backends.torch.emit.names import weight_path  # noqa: E402
from qrlang.backends.torch.native.fit import with_targets, without_dropout  # noqa: E402
from qrlang.backends.torch.native.road import follow  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
LENGTHS = (3, 1, 4)
MOST_QUBITS = 10  # beyond, NumPy takes its time


def agree(program, inputs, lengths, tolerance=1e-9):
    """Worst relative error of the interpreter against the plain road, of everything there is."""
    found = plan(with_targets(without_dropout(program)))
    if not isinstance(found, Plan):
        return None
    model = tools.module(program, road="plain")
    given = tools.batch(inputs)
    real = {k: x.requires_grad_() for k, x in given.items() if x.is_floating_point()}
    try:
        result = model(**given, lengths=torch.tensor(lengths))
    except (ValueError, FloatingPointError):
        return None
    true = list(result.values()) if isinstance(result, dict) else [result]
    g = torch.Generator().manual_seed(1)
    seeds = [torch.randn(y.shape, generator=g, dtype=torch.float64) for y in true]
    total = sum((y * s).sum() for y, s in zip(true, seeds, strict=True))
    weights = [follow(model, weight_path(w.name)) for w in found.weights]
    trained = [w for w in weights if w.requires_grad]
    wanted = [*trained, *real.values()]
    slopes = [None] * len(wanted)
    if total.requires_grad:
        slopes = torch.autograd.grad(total, wanted, allow_unused=True)
    if any(s is not None and not bool(torch.isfinite(s).all()) for s in slopes):
        return None
    names = [x.name for x in found.inputs]
    arrays = [given[n].detach().numpy() for n in names]
    lens = [np.array(lengths) if x.seq else None for x in found.inputs]
    mine = Interpreter(found)
    outputs, saved = mine.forward(arrays, [w.detach().numpy() for w in weights], lens)
    for _ in range(2):  # a second walk back begins where the first one did
        dw, dx = mine.backward(saved, [s.numpy() for s in seeds], inputs=True)
    pairs = list(zip(outputs, true, strict=True))
    by_weight = dict(zip(map(id, trained), slopes, strict=False))
    pairs += [(d, by_weight[id(w)]) for d, w in zip(dw, weights, strict=True) if id(w) in by_weight]
    by_input = dict(zip(real, slopes[len(trained) :], strict=True))
    pairs += [(d, by_input[n]) for d, n in zip(dx, names, strict=True) if n in by_input]
    worst = 0.0
    for a, b in pairs:
        b = np.zeros(a.shape) if b is None else b.detach().numpy()
        assert a.size == b.size
        if a.size:
            worst = max(worst, float(np.abs(a.reshape(b.shape) - b).max() / (1 + np.abs(b).max())))
    assert worst < tolerance
    return worst


def inputs_of(program):
    return [strategies.arguments(program, seed=i, length=t) for i, t in enumerate(LENGTHS)]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(strategies.programs())
def test_programs(program):
    agree(program, inputs_of(program), LENGTHS, 1e-7)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(strategies.circuits(qubits=3))
def test_circuits(program):
    agree(program, inputs_of(program), LENGTHS, 1e-7)


def models():
    for file in sorted((ROOT / "examples").glob("*/*.qrl")):
        compilation = Compilation.of_bytes(str(file), file.read_bytes())
        for name, model in compilation.checked.models.items():
            found = plan(with_targets(without_dropout(model.program)))
            if isinstance(found, Plan) and max(found.spaces, default=0) <= MOST_QUBITS:
                yield pytest.param(model.program, id=f"{file.stem}-{name}")


@pytest.mark.parametrize("program", list(models()))
def test_examples(program):
    inputs = inputs_of(with_targets(program))
    for one in inputs:  # within the domain of what arcs take
        for name, x in one.items():
            one[name] = np.clip(0.4 * x, -0.9, 0.9) if x.dtype.kind == "f" else x
    assert agree(program, inputs, LENGTHS) is not None


@pytest.mark.parametrize(
    "program",
    [qrnn(4, observables=mixed_observables(4)), qrnn(3, extra=2), qrnn(2, activation="relu")],
    ids=["observables", "steps after the end", "a kink"],
)
def test_ragged_batches(program):
    errors = compare(program, lengths=torch.tensor([4, 1, 3]), make=Interpreter)
    assert max(errors) < 1e-10


def test_dropout_is_the_kernels():
    """The same draws from the same seed, forward and backward."""
    pytest.importorskip("llvmlite")
    from qrlang.engine.cpu.launch.kernel import kernel

    program = qrnn(3, dropout=0.4)
    found = plan(program)
    weights, inputs = draw(program, 21, 5)
    own = [weights[w.name].numpy() for w in found.weights]
    given = [x.numpy() for x in inputs]
    fast, plain = kernel(found, "float64"), Interpreter(found)
    with pytest.raises(ValueError, match="seed"):
        plain.forward(given, own)
    for seed in (0, 1, 2**62 - 3):
        (y,), saved = fast.forward(given, own, None, seed)
        (z,), kept = plain.forward(given, own, None, seed)
        assert np.abs(y - z).max() < 1e-12
        d = [np.ones_like(y)]
        for a, b in zip(fast.backward(saved, d, True), plain.backward(kept, d, True), strict=True):
            for x, truth in zip(a, b, strict=True):
                assert np.abs(x - truth).max() < 1e-10
    assert np.abs(plain.forward(given, own, None, 5)[0][0] - z).max() > 1e-3
