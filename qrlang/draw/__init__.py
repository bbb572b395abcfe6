"""Drawings of a program: its circuits, and the classical functions that steer them."""
