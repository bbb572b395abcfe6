"""Qubits in plain torch, and the lanes of a call that they live in: road 3."""
