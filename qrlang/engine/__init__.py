"""The engine: a plan of a program that any machine can run fast, and printers that write it out.

`plan` is machine-neutral and pure Python. `cpu` turns a plan into machine code at run
time, `cuda` into CUDA C++.
"""
