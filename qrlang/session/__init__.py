"""A whole run, with everybody who has a part in it.

`qrlang.training` trains, and knows nobody who looks on. `train` puts a run together with its
governor, its trace, its curves and the strip that it leaves; `again` repeats one to trace it;
`forget` takes records out of all that is left of runs.
"""
