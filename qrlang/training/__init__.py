"""Training: from a program and its `train` block to a run folder with checkpoints and figures.

Nothing here prints; `qrlang.cli.train` does. Torch is imported by the modules that compute, so
that settings, run folders and tables can be read without it.
"""
