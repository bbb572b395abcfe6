"""The IR's text form: `parse_program(print_program(p)) == p`, and printed again it is the same.

    program QRNN(n = 2) {
      input %rows.0 : seq[real[28]]
      weight @steer.w1 : real[2, 30] = uniform(-0.1, 0.1)
      qubits memory[2] at q0

      alloc q0, q1
      loop step (%row.1 : real[28] in %rows.0) {
        %z.2 : real[2] = expect [Z0, Z1]
        %v.3 : real[30] = concat(%row.1, %z.2)
        %theta.4 : real[2] = linear %v.3, @steer.w1
        unitary { rz(%theta.4[0]) q0  ry(0.5*%theta.4[1] + 1.0) q1  cx q0, q1 }
      } emit(z %z.5 : seq[real[2]] = %z.2)

      return z = %z.5
    }

Values are `%name.number`; only the number counts. `//` begins a comment. `Gate.place` is not
part of it.
"""

from qrlang.ir.lexer import IRSyntaxError
from qrlang.ir.parser import parse_program
from qrlang.ir.printer import print_element, print_op, print_program

__all__ = ["IRSyntaxError", "parse_program", "print_element", "print_op", "print_program"]
