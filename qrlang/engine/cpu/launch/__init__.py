"""A kernel called on arrays: its memory, its threads, what it leaves."""
