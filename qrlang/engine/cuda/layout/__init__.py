"""Where things are: which threads hold which amplitudes, and what lies where in shared memory."""
