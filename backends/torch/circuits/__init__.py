"""Circuits of an emitted module: their text, and the passes over a state that they become."""
