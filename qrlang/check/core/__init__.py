"""What all of the checker stands on: values, scopes, the program being built, the elaborator."""
