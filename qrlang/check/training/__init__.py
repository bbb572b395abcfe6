"""`train` and `govern` blocks: their settings, and a model against its data."""
