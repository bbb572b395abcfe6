"""The torch target: a readable PyTorch module for each model. Torch is imported when used."""

from qrlang.backends.torch.target import target

__all__ = ["target"]
