"""Amazon Braket: models as its circuits, and in a loop on its devices. The SDK is lazy."""

from qrlang.backends.braket.target import target

__all__ = ["target"]
