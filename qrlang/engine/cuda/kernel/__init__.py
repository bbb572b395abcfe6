"""A kernel's body: its frame, classical nodes, circuits, loops, and how it begins and ends."""
