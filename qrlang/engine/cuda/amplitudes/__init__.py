"""Device functions on amplitudes: layers, forward and undone, and sums over parities."""
