"""What a call gives, matched to what a definition takes."""
