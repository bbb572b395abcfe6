"""The CUDA printer: a plan as CUDA C++, one persistent kernel each way.

`emit(plan, batch)` gives a `Source`: the text, and for each kernel what it is to be given.
"""
