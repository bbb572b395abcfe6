"""Layers: declared, called, and the tensors that they own."""
