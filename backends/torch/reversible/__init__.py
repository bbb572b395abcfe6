"""One state for all steps, walked back while gradients are taken: road 2."""
