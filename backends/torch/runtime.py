"""What an emitted module imports: `from qrlang.backends.torch import runtime as qr`."""

from qrlang.backends.torch.calls.interface import Lengths
from qrlang.backends.torch.calls.run import Run, Steps
from qrlang.backends.torch.calls.sequence import Sequence, additive, bilinear, dot, scaled
from qrlang.backends.torch.circuits.circuit import Circuit, circuit
from qrlang.backends.torch.model import Model, written
from qrlang.backends.torch.ops import cat, clipped, gather, matvec, reshape, softplus, stack
from qrlang.backends.torch.states.observables import Observables, observables, paulis
from qrlang.backends.torch.weights import (
    Weights,
    constant,
    frozen,
    haar,
    identity,
    normal,
    orthogonal,
    trained,
    uniform,
    unitary,
    values,
)

__all__ = [
    "Circuit",
    "Lengths",
    "Model",
    "Observables",
    "Run",
    "Sequence",
    "Steps",
    "Weights",
    "additive",
    "bilinear",
    "cat",
    "circuit",
    "clipped",
    "constant",
    "dot",
    "frozen",
    "gather",
    "haar",
    "identity",
    "matvec",
    "normal",
    "observables",
    "orthogonal",
    "paulis",
    "reshape",
    "scaled",
    "softplus",
    "stack",
    "trained",
    "uniform",
    "unitary",
    "values",
    "written",
]
