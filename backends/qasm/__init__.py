"""OpenQASM 3 text, in the dialects that Qiskit and Amazon Braket really read. No SDK needed."""

from qrlang.backends.qasm.target import target

__all__ = ["target"]
