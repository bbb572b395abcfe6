"""What a call of a model knows while it runs: its lengths, recurrences and segments."""
