"""Layers as sweeps over one sequence's amplitudes.

A state is two planes (real, imaginary) of 2^n numbers. A layer is done in a few passes: the first
gathers through the index map, multiplies by the diagonal and rotates the lane qubits and the
lowest other ones in registers; each further pass rotates three or four more. Rotations are
cos·[[1,-t],[t,1]] with |t| <= 1: whole half turns have become bit flips in the gather's address
and signs in the diagonal, the cosines one factor of the diagonal.

Backwards the passes are undone in reverse order on state and costate together, the gradient of
each rotation taken from the registers that undo it, and those of all phases from one vector
Im(λ* ψ).
"""

from __future__ import annotations

from qrlang.engine.cpu.amplitudes.backward import Backward
from qrlang.engine.cpu.amplitudes.shape import Shape, Tables

__all__ = ["Shape", "Sweeps", "Tables"]


class Sweeps(Backward):
    """Writes the functions of layers, in the state layout."""
