"""What the system gives and asks: cores and memory, environment variables, files and locks."""
