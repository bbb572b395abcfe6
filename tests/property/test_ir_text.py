"""Any program is well formed, reads back from its text, and its text is the same again."""

from hypothesis import given, settings
from strategies import circuits, mixed_programs, programs

from qrlang.ir.program import Program
from qrlang.ir.text import parse_program, print_program
from qrlang.ir.verify import verify


@settings(max_examples=200)
@given(circuits() | programs() | mixed_programs())
def test_text_reads_back(program: Program) -> None:
    assert verify(program) == []
    text = print_program(program)
    again = parse_program(text)
    assert again == program
    assert print_program(again) == text
