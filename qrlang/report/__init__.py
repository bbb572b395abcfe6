"""The page that a paper should have: all of a run, computed from the run."""
