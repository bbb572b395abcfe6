"""The engine's kernels as autograd nodes: road 1."""
