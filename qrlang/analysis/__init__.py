"""What can be said about a program without running it. No numpy here."""
