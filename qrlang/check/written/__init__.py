"""What can be read off the tree alone."""
