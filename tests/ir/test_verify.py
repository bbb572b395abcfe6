"""Every rule of the verifier: a program that breaks it, and what is said."""

from __future__ import annotations

import pytest

from qrlang.ir.program import (
    Alloc,
    Const,
    Extern,
    Initial,
    Loop,
    LoopEmit,
    LoopItem,
    Op,
    Output,
    Permutation,
    Pointwise,
    Program,
    Register,
    Unitary,
    Value,
    Weight,
)
from qrlang.ir.text import parse_program
from qrlang.ir.types import Type, real, seq
from qrlang.ir.verify import verify

# What every text below may use.
HEAD = """
  input %x.0 : real[3]
  input %s.1 : real
  input %seq.2 : seq[real[2]]
  input %tok.3 : token[4]
  input %toks.4 : seq[token[4]]
  input %b.5 : bit[2]
  input %u.6 : unitary[1]
  input %psi.7 : state[2]
  input %m.8 : real[2, 3]
  input %ones.9 : seq[real]
  weight @w : real[2, 3] = uniform(-1.0, 1.0)
  weight @v : real[2] = constant(0.0)
  weight @three : real[3] = constant(0.0)
  weight @table : real[4, 2] = normal(0.0, 1.0)
  weight @tu : real[4] = haar unitary 1
  extern tt : (real[3]) -> real[2] = "mine:Layer"
  qubits q[3] at q0
  qubits r[1] at q3 space 1
  alloc q0, q1, q3
"""

# (what is wrong, the text of it, the complaint)
BROKEN = [
    # Values and scopes.
    ("a value of a body, outside", "if %b.5[0] { %c.20 : real = const [1.0] }  return %c.20",
     "`return`: %20 is defined in a body that has ended"),
    ("a value of one branch, in the other",
     "if %b.5[0] { %c.20 : real = const [1.0] } else { %d.21 : real = neg(%c.20) }",
     "else: `%d.21 : real = neg(%c.20)`: %20 is defined in a body that has ended"),
    ("an output twice", "return %x.0  return %s.1", "`output`: this name is there twice"),
    ("a weight twice", "HEAD2 weight @w : real = constant(0.0)",
     "`weight w`: this name is there twice"),
    ("an unknown size", "HEAD2 input %t.20 : token[0]",
     "`input t`: %20: token[0] has to have one size, at least 1"),
    # Weights and registers.
    ("initial values that are too few", "HEAD2 weight @a : real[2] = values(1.0)",
     "`weight @a`: 1 initial values for 2 numbers"),
    ("an unknown initial value", "HEAD2 weight @a : real[2] = xavier",
     "`weight @a`: no initial value is called 'xavier'"),
    ("numbers of an initial value", "HEAD2 weight @a : real[2] = uniform(1.0)",
     "`weight @a`: uniform does not take 1 numbers"),
    ("an infinite initial value", "HEAD2 weight @a : real = constant(inf)",
     "`weight @a`: its initial values have to be finite"),
    ("haar of no unitary", "HEAD2 weight @a : real[4] = haar",
     "`weight @a`: only a unitary begins as haar"),
    ("a unitary's shape", "HEAD2 weight @a : real[4] = identity unitary 2",
     "`weight @a`: a unitary on 2 qubits has 4^2 numbers"),
    ("a unitary that is too large", "HEAD2 weight @a : real[4] = identity unitary 99",
     "`weight @a`: a trained unitary is on at most 8 qubits"),
    ("registers that overlap", "HEAD2 qubits t[2] at q2",
     "`qubits t[2] at q2`: q2 belongs to another register"),
    ("a register of nothing", "HEAD2 qubits t[0] at q9",
     "`qubits t[0] at q9`: its size is from 1 to 65536, nothing is negative"),
    ("a register of too much", "HEAD2 qubits t[99999999999999] at q9",
     "`qubits t[99999999999999] at q9`: its size is from 1 to 65536, nothing is negative"),
    # Classical ops.
    ("too few numbers", "%y.20 : real[3] = const [1.0]",
     "`%y.20 : real[3] = const [1.0]`: 1 numbers for real[3]"),
    ("a constant that is no number", "%y.20 : real = const [nan]", "its numbers have to be finite"),
    ("a bit of 2", "%y.20 : bit = const [2.0]", "a bit is 0 or 1"),
    ("a token beyond", "%y.20 : token[3] = const [3.0]",
     "a token[3] is one whole number below 3"),
    ("a constant sequence", "%y.20 : seq[real] = const [3.0]",
     "there are no constants of type seq[real]"),
    ("an unknown weight", "%y.20 : real[2] = weight @nope", "there is no weight @nope"),
    ("a weight's shape", "%y.20 : real[3] = weight @v", "%20 is real[3]; it has to be real[2]"),
    ("a unitary as numbers", "%y.20 : real[4] = weight @tu",
     "%20 is real[4]; it has to be unitary[1]"),
    ("too many arguments", "%y.20 : real[3] = sin(%x.0, %x.0)", "sin takes 1 arguments, not 2"),
    ("shapes that differ", "%y.20 : real[3] = add(%x.0, %m.8)", "the shapes [2, 3] and [3] differ"),
    ("a result's shape", "%y.20 : real = sin(%x.0)", "%20 is real; it has to be real[3]"),
    ("a sequence as numbers", "%y.20 : real[2] = sin(%seq.2)",
     "%2 is seq[real[2]]; it has to be real or bit"),
    ("a token as a number", "%y.20 : real = sin(%tok.3)",
     "%3 is token[4]; it has to be real or bit"),
    ("the width of a linear layer", "%y.20 : real[2] = linear %s.1, @w",
     "@w is [2, 3]; it has to be [2, 1]"),
    ("the result of a linear layer", "%y.20 : real[2, 1] = linear %x.0, @w",
     "%20 is real[2, 1]; it has to be a vector of real"),
    ("a linear layer without its weight", "%y.20 : real[2] = linear %x.0, @nope",
     "there is no weight @nope"),
    ("a bias", "%y.20 : real[2] = linear %x.0, @w, @w", "@w is [2, 3]; it has to be [2]"),
    ("a unitary as a bias", "%y.20 : real[2] = linear %x.0, @w, @tu", "@tu is a unitary"),
    ("a gain", "%y.20 : real[2] = linear %x.0, @w gain inf", "the gain has to be finite"),
    ("an embedding of numbers", "%y.20 : real[2] = embed %s.1, @table",
     "%1 is real; it has to be a token, a class or a bit"),
    ("the width of an embedding", "%y.20 : real[3] = embed %tok.3, @table",
     "@table is [4, 2]; it has to be [4, 3]"),
    ("the result of an embedding", "%y.20 : real = embed %tok.3, @table",
     "%20 is real; it has to be a vector of real"),
    ("a concatenation", "%y.20 : real[3] = concat(%x.0, %s.1)",
     "%20 is real[3]; it has to be real[4]"),
    ("the number of elements", "%y.20 : real[2] = gather %x.0[0]", "1 elements for real[2]"),
    ("the kind of elements", "%y.20 : real[1] = gather %b.5[0]",
     "elements of bit[2] are not real[1]"),
    ("an element that is not there", "%y.20 : real[2] = gather %x.0[1, 3]",
     "there is no element 3 in real[3]"),
    ("a new shape", "%y.20 : real[2] = reshape %x.0", "real[3] can't become real[2]"),
    ("an unknown reduction", "%y.20 : real = reduce median %x.0",
     "there is no reduction called 'median'"),
    ("the axis of a scalar", "%y.20 : real = reduce sum %s.1 last_axis",
     "a scalar has no last axis"),
    ("the result of a reduction", "%y.20 : real[2] = reduce sum %m.8",
     "%20 is real[2]; it has to be real"),
    ("the greatest of nothing", "%e.20 : real[0] = const []  %y.21 : real = reduce max %e.20",
     "there is no max of nothing"),
    ("a product", "%y.20 : real[2] = matmul %x.0, %m.8", "real[3] times real[2, 3] is not a product"),
    ("a product's result", "%y.20 : real[3] = matmul %m.8, %x.0",
     "%20 is real[3]; it has to be real[2]"),
    ("softmax of a scalar", "%y.20 : real = softmax %s.1", "a scalar has no last axis"),
    ("normalising a scalar", "%y.20 : real = layer_norm %s.1, @v, @v", "a scalar has no last axis"),
    ("a scale", "%y.20 : real[3] = layer_norm %x.0, @three, @v", "@v is [2]; it has to be [3]"),
    ("dropping everything", "%y.20 : real[3] = dropout %x.0, 1.0",
     "p has to be at least 0 and below 1"),
    ("an unknown layer", "%y.20 : real = call other(%x.0)", "there is no extern layer 'other'"),
    ("a layer's arguments", "%y.20 : real[2] = call tt(%s.1)", "it takes (real[3]), not (real)"),
    ("a layer's result", "%y.20 : real = call tt(%x.0)", "%20 is real; it has to be real[2]"),
    ("a shift of no sequence", "%y.20 : real[3] = shift %x.0",
     "%0 is real[3]; it has to be a sequence"),
    ("a start", "%y.20 : seq[token[4]] = shift %toks.4 start 4", "4 is not a start for seq[token[4]]"),
    ("a start of numbers", "%y.20 : seq[real[2]] = shift %seq.2 start 1",
     "1 is not a start for seq[real[2]]"),
    ("a reverse of no sequence", "%y.20 : real[3] = reverse %x.0",
     "%0 is real[3]; it has to be a sequence"),
    ("the last none", "%y.20 : real[0, 2] = last %seq.2, 0", "at least one moment"),
    ("the shape of the last", "%y.20 : real[2] = last %seq.2, 1",
     "%20 is real[2]; it has to be real[1, 2]"),
    ("an unknown pooling", "%y.20 : real[2] = pool min %seq.2", "there is no pooling called 'min'"),
    ("pooling of tokens", "%y.20 : real = pool mean %toks.4",
     "%4 is seq[token[4]]; it has to be a sequence of real or bit"),
    ("softmax over vectors", "%y.20 : seq[real] = softmax_over %seq.2",
     "%2 is seq[real[2]]; it has to be seq[real]"),
    ("a weighted sum", "%y.20 : real = weighted_sum %ones.9, %seq.2",
     "%20 is real; it has to be real[2]"),
    ("an unknown score", "%y.20 : real[2] = attend cosine %x.0 over %seq.2, %seq.2",
     "there is no score called 'cosine'"),
    ("a query's width", "%y.20 : real[2] = attend dot %x.0 over %seq.2, %seq.2",
     "a query of 3 numbers and keys of 2"),
    ("weights of a score", "%y.20 : real[2] = attend bilinear %x.0 over %seq.2, %seq.2",
     "bilinear takes 1 weights, not 0"),
    ("a score's weight", "%y.20 : real[2] = attend bilinear %x.0 over %seq.2, %seq.2 with @w",
     "@w is [2, 3]; it has to be [3, 2]"),
    ("an additive score's weights",
     "%y.20 : real[2] = attend additive %x.0 over %seq.2, %seq.2 with @w, @w, @v, @v",
     "@w is [2, 3]; it has to be [2, 2]"),
    ("an additive score without its vector",
     "%y.20 : real[2] = attend additive %x.0 over %seq.2, %seq.2 with @w, @w, @v, @nope",
     "@nope has to be a vector"),
    # Qubits.
    ("a qubit that is not alive", "unitary { h q2 }", "`unitary { h q2 }`: q2 is not alive here"),
    ("a qubit after its end", "free q1  unitary { h q1 }", "`unitary { h q1 }`: q1 is not alive here"),
    ("a qubit of no register", "unitary { h q9 }", "q9 belongs to no register"),
    ("an unknown qubit's beginning", "alloc q9", "q9 belongs to no register"),
    ("a second beginning", "alloc q0", "`alloc q0`: q0 is alive already"),
    ("a second end", "free q1  free q1", "`free q1`: q1 is not alive here"),
    ("one qubit twice", "unitary { cx q0, q0 }", "q0 is there twice"),
    ("a target that is a control", "unitary { ctrl(!q1) swap q0, q1 }", "q1 is there twice"),
    ("two spaces in a gate", "unitary { cx q0, q3 }", "its qubits lie in the spaces 0, 1"),
    ("a gate's qubits", "unitary { swap q0 }", "swap acts on 2 qubits, not 1"),
    ("a gate's angles", "unitary { u(1.0, 2.0) q0 }", "u takes 3 angles, not 2"),
    ("an angle that is not there", "unitary { rx(%x.0[3]) q0 }",
     "there is no element 3 in %0, a real[3]"),
    ("an angle from a token", "unitary { rx(%tok.3[0]) q0 }",
     "an angle can't come from %3, a token[4]"),
    ("an infinite angle", "unitary { rx(inf) q0 }", "an angle has to be finite"),
    ("an infinite factor", "unitary { rx(inf*%s.1) q0 }", "an angle has to be finite"),
    ("a run that leaves its qubit", "unitary { run q0 { h q0  h q1 } }", "h does not act on q0 alone"),
    ("a run with a control", "unitary { run q0 { ctrl(q1) h q0 } }", "h does not act on q0 alone"),
    ("a diagonal's qubits", "unitary { diagonal { rz(1.0) q1, q0 } }",
     "the qubits of a diagonal's term have to be sorted, each once"),
    ("a diagonal over spaces", "unitary { diagonal { rz(1.0) q0  rz(1.0) q3 } }",
     "its qubits lie in the spaces 0, 1"),
    ("a permutation that loses", "unitary { permutation { q0 = q0 ^ q1, q1 = q1 ^ q0 } }",
     "the permutation sends two states to one"),
    ("a Hamiltonian over spaces", "evolve [(1.0) Z0, (1.0) Z3] time 1.0",
     "its qubits lie in the spaces 0, 1"),
    ("a negative number of steps", "evolve [(1.0) Z0] time 1.0 trotter -1",
     "the number of steps can't be negative"),
    ("a string out of order", "evolve [(1.0) Z1 Z0] time 1.0",
     "a Pauli string has to be sorted, with each qubit once"),
    ("a matrix's size", "apply %u.6 to q0, q1", "%6 is unitary[1]; it has to be unitary[2]"),
    ("numbers as a matrix", "apply %x.0 to q0", "%0 is real[3]; it has to be unitary[1]"),
    ("a matrix under its own qubit", "apply %u.6 to q0 ctrl(q0)", "q0 is there twice"),
    ("a state's size", "prepare %psi.7 on q0", "%7 is state[2]; it has to be real[2^1] or state[1]"),
    ("amplitudes", "prepare %x.0 on q0, q1", "%0 is real[3]; it has to be real[2^2] or state[2]"),
    ("an unknown channel", "channel cosmic_ray(0.1) q0", "no channel is called 'cosmic_ray'"),
    ("a channel's qubits", "channel depolarizing(0.1) q0, q1",
     "depolarizing acts on 1 qubits, not 2"),
    ("a channel's numbers", "channel pauli_channel(0.1) q0", "pauli_channel takes 3 numbers, not 1"),
    ("no probability", "channel bit_flip(1.5) q0",
     "its numbers have to be probabilities, together at most 1"),
    ("too much probability", "channel pauli_channel(0.5, 0.4, 0.3) q0",
     "its numbers have to be probabilities, together at most 1"),
    # Readouts.
    ("an observable out of order", "%z.20 : real[1] = expect [Z1 Z0]",
     "a Pauli string has to be sorted, with each qubit once"),
    ("an observable over spaces", "%z.20 : real[1] = expect [Z0 Z3]",
     "its qubits lie in the spaces 0, 1"),
    ("an infinite observable", "%z.20 : real[1] = expect [inf*Z0]",
     "the coefficients of an observable have to be finite"),
    ("a readout's width", "%z.20 : real[3] = expect [Z0]", "%20 is real[3]; it has to be real[1]"),
    ("shots and weak", "%z.20 : real[1] = expect [Z0] shots 10 weak 0.2",
     "shots are above 0, weak is an angle above 0 and at most pi/2, and not both"),
    ("a weak readout that is too strong", "%z.20 : real[1] = expect [Z0] weak 2.0",
     "shots are above 0, weak is an angle above 0 and at most pi/2, and not both"),
    ("an observable in no setting", "%z.20 : real[2] = expect [Z0, Z1] settings [0]",
     "every observable has to be in one setting"),
    ("an observable in two settings", "%z.20 : real[2] = expect [Z0, Z1] settings [0, 1], [0]",
     "every observable has to be in one setting"),
    ("a setting that does not commute", "%z.20 : real[2] = expect [Z0, X0 Z1] settings [0, 1]",
     "a setting measures both Z and X of q0"),
    ("a distribution's size", "%z.20 : real[3] = probs q0, q1", "%20 is real[3]; it has to be real[2^2]"),
    ("negative shots", "%z.20 : real[2] = probs q0 shots -1", "shots can't be negative"),
    ("a distribution over spaces", "%z.20 : real[4] = probs q0, q3",
     "its qubits lie in the spaces 0, 1"),
    ("the bits of a measurement", "%z.20 : bit = measure q0, q1",
     "%20 is bit; it has to be bit[2]"),
    ("a selection's bit", "%z.20 : real = postselect q0 = 2", "it has to have a bit for each qubit"),
    ("a selection's value", "%z.20 : real[1] = postselect q0 = 1",
     "%20 is real[1]; it has to be real"),
    ("resetting a qubit twice", "reset q0, q0", "q0 is there twice"),
    # Bodies.
    ("an if on a number", "if %s.1 { reset q0 }",
     "`if %s.1 { … }`: the condition is real; it has to be a bit"),
    ("an if on a bit that is not there", "if %b.5[2] { reset q0 }",
     "there is no element 2 in bit[2]"),
    ("a qubit that ends in one branch", "if %b.5[0] { free q0 }",
     "q0 is alive after only one of the branches"),
    ("a loop over no sequence", "loop l (%y.20 : real[3] in %x.0) { }",
     "`loop l`: an item of real[3] is not real[3]"),
    ("an item's type", "loop l (%y.20 : real[3] in %seq.2) { }",
     "`loop l`: an item of seq[real[2]] is not real[3]"),
    ("a loop over nothing", "loop l { }",
     "`loop l`: it has no sequence to run over, and no extra steps"),
    ("a flag's type", "loop l extra 1 flag %f.20 : real[1] { }",
     "`loop l`: the flag is real[1]; it has to be real"),
    ("a carry that changes its type", "loop l carry(%h.20 : real[3] = %x.0) extra 1 { } "
     "next(%k.21 : real[3] = %s.1)", "`loop l`: a carry is real[3], real[3], real, real[3]"),
    ("a carried sequence", "loop l carry(%h.20 : seq[real] = %ones.9) extra 1 { } "
     "next(%k.21 : seq[real] = %h.20)",
     "`loop l`: a carry is seq[real], seq[real], seq[real], seq[real]"),
    ("an emit's type", "loop l extra 1 { } emit(e %k.21 : seq[real[2]] = %x.0)",
     "`loop l`: emit e: seq[real[2]] of real[3]"),
    ("an emit twice",
     "loop l extra 1 { } emit(e %k.21 : seq[real[3]] = %x.0, e %k.22 : seq[real[3]] = %x.0)",
     "`loop l`: two emits are called 'e'"),
    ("a qubit that is born in each step", "loop l extra 2 { alloc q2 }",
     "`loop l`: q2 is alive at only one end of it"),
    ("a qubit that ends in each step", "loop l extra 2 { free q0, q1 }",
     "`loop l`: q0, q1 are alive at only one end of it"),
    ("a value of a loop, outside", "loop l extra 1 { %c.20 : real = const [1.0] }  return %c.20",
     "`return`: %20 is defined in a body that has ended"),
    ("deep inside", "loop l extra 1 { if %b.5[0] { unitary { h q2 } } }",
     "loop l: if: `unitary { h q2 }`: q2 is not alive here"),
]  # fmt: skip


@pytest.mark.parametrize("text,complaint", [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_every_rule(text: str, complaint: str) -> None:
    head = HEAD
    if text.startswith("HEAD2"):  # a declaration: goes where declarations go
        head, text = HEAD.replace("  alloc", text.removeprefix("HEAD2") + "\n  alloc"), ""
    (error,) = verify(parse_program(f"program p {{ {head} {text} }}"))
    assert error == complaint or error.endswith(f"`: {complaint}")


def test_the_head_is_fine() -> None:
    assert verify(parse_program(f"program p {{ {HEAD} }}")) == []


# What the text form can't say.

X, S = Value(0, real(3), "x"), Value(1, seq(real(2)), "s")


def broken(*ops: Op, **changes: object) -> list[str]:
    fields = {"inputs": (X, S), "registers": (Register("q", 0, 2),), "body": ops} | changes
    return verify(Program("p", **fields))  # type: ignore[arg-type]


def test_values_are_defined_once() -> None:
    op = Const(Value(0, real(), "c"), (1.0,))
    assert broken(op) == ["`%c.0 : real = const [1.0]`: %0 is defined a second time"]


def test_values_are_defined_before_use() -> None:
    y, z = Value(7, real(), "y"), Value(8, real(), "z")
    ops = (Pointwise(y, "sin", (z,)), Const(z, (1.0,)))
    assert broken(*ops) == ["`%y.7 : real = sin(%z.8)`: %8 is not defined before this"]
    assert broken(outputs=(Output("", z),)) == ["`return`: %8 is not defined before this"]


def test_values_keep_their_type() -> None:
    y = Value(7, real(2), "y")
    op = Pointwise(y, "sin", (Value(0, real(2), "x"),))
    assert broken(op) == ["`%y.7 : real[2] = sin(%x.0)`: %0 is real[3], and used as real[2]"]


def test_types_exist() -> None:
    for kind, complaint in (
        (Type("complex"), "no type is called 'complex'"),
        (Type("real", (-1,)), "real[-1] is not a type"),
        (Type("real", (), 3), "real is not a type"),
        (Type("token", (2,), 3), "token[3] has to have one size, at least 1"),
    ):
        assert broken(inputs=(Value(0, kind, "x"),)) == [f"`input x`: %0: {complaint}"]
    extern = Extern("e", "m:C", (), (Type("token"),), real())
    assert broken(externs=(extern,)) == ["`extern e`: token[0] has to have one size, at least 1"]
    weight = Weight("w", (-1,), Initial("constant", (0.0,)))
    assert broken(weights=(weight,)) == ["`weight @w`: (-1,) is not a shape"]


def test_functions_exist() -> None:
    op = Pointwise(Value(7, real(3), "y"), "sinc", (X,))
    assert broken(op) == ["`%y.7 : real[3] = sinc(%x.0)`: no function is called 'sinc'"]


def test_inputs_have_different_names() -> None:
    assert broken(inputs=(X, Value(1, real(), "x"))) == [
        "`input or target x`: this name is there twice"
    ]


def test_ops_have_qubits() -> None:
    assert broken(Alloc(())) == ["`alloc`: it has no qubits"]


def test_permutations_have_a_row_for_each_qubit() -> None:
    for p in (
        Permutation((0, 1), (1,)),
        Permutation((0, 1), (1, 4)),
        Permutation((0, 1), (1, 2), flips=4),
    ):
        (error,) = broken(Alloc((0, 1)), Unitary((p,)))
        assert error.endswith("a row and a flip for each of its qubits, over those qubits")


def test_gates_exist() -> None:
    from qrlang.ir.program import Gate

    (error,) = broken(Alloc((0, 1)), Unitary((Gate("toffoli", (0,)),)))
    assert error == "`unitary { toffoli q0 }`: no gate is called 'toffoli'"


def test_letters_of_a_string() -> None:
    from qrlang.ir.program import Expect

    op = Expect(Value(7, real(1), "z"), (((1.0, ((0, "W"),)),),))
    (error,) = broken(Alloc((0, 1)), op)
    assert error.endswith("the letters of a Pauli string are X, Y and Z")


def test_emits_are_not_sequences_of_sequences() -> None:
    item = LoopItem(S, Value(8, real(2)))
    emit = LoopEmit("e", S, Value(9, seq(real(2))))
    assert broken(Loop("l", (item,), (), (), (emit,))) == [
        "`loop l`: emit e: seq[real[2]] of seq[real[2]]"
    ]


def test_one_mistake_is_one_error() -> None:
    """What is wrong once is not said again by what uses it."""
    text = """
      %y.20 : real[2] = sin(%x.0)
      %z.21 : real[2] = cos(%y.20)
      unitary { rx(%z.21[0]) q0 }
    """
    assert len(verify(parse_program(f"program p {{ {HEAD} {text} }}"))) == 1
