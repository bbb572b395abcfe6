"""From a text to results: compiled, kept on disk, launched on torch tensors."""
