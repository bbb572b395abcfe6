"""Statements: names, choices, loops, steps, carries and tensors."""
