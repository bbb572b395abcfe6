"""What `qrlc inspect` says of a model: its make and its cost."""
