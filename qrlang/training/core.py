"""placeholder"""

from qrlang.ir.program import Program


def swapped(program: Program, core: str) -> Program:
    raise AssertionError(core)
