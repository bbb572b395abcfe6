"""Qubits in plain torch, and what a call of a model knows while it runs: road 3."""
