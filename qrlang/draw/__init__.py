"""Drawings of a program: its circuits, and the classical functions that steer them. `run`: of one
that was trained, as it was at a step."""
