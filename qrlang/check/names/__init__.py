"""Names, before anything is evaluated."""
