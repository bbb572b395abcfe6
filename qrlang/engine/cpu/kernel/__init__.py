"""A kernel's body: its frame, classical nodes, circuits and loops."""
