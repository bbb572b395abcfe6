"""Registers, gates, ansätze, measurements and readouts."""
