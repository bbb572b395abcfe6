"""A trained run is asked: what it is worth, what it answers, and how it goes on by itself."""
