"""The torch target: a readable PyTorch module for each model. Torch is imported when used.

What a module is made of, each knowing only what stands above it:

    ops          small operations that respect the axes in front
    gpu          a GPU as torch names it, for kernels
    circuits     a circuit as text, and how its gates are done to amplitudes
    states       qubits in plain torch, and the lanes of a call that they live in: road 3
    reversible   one state for all steps, walked back for gradients: road 2
    calls        a call of a model: lengths, recurrences, segments
    native       all steps in one kernel: road 1
    roads        which of them a call takes
    model        what an emitted class derives from
    runtime      all that an emitted file imports
"""

from qrlang.backends.torch.target import target

__all__ = ["target"]
