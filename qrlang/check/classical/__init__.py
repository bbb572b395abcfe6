"""Expressions of numbers, lists and tensors, and the types that are written."""
