"""Code on amplitudes: layers, forward and undone, and readouts, for both layouts of a batch."""
