"""What `compile --target qiskit` writes."""
