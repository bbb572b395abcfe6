"""Whether a program is well formed. The rules are the definition of "well formed".

This file has the rules of scopes, of declarations and of bodies; `rules_classical.py` has the
types of every classical op, `rules_quantum.py` the rules of qubits, gates and readouts.
Every complaint names its op as the text form writes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import isfinite, prod

from qrlang.ir.printer import print_op
from qrlang.ir.program import If, Initial, Loop, Op, Program, Value, Weight
from qrlang.ir.rules_classical import RULES as CLASSICAL
from qrlang.ir.rules_quantum import RULES as QUANTUM
from qrlang.ir.rules_quantum import Qubits
from qrlang.ir.types import KINDS, Type
from qrlang.ir.walk import defs, uses

# Kinds of initial values, and how many numbers each takes.
_INITIALS = {
    "uniform": (2,),
    "normal": (2,),
    "constant": (1,),
    "orthogonal": (0, 1),
    "identity": (0,),
    "haar": (0,),
}

_MOST_QUBITS = 1 << 16  # in one register
_MOST_UNITARY_QUBITS = 8


def verify(program: Program) -> list[str]:
    """What is wrong with a program; nothing when it is well formed."""
    checker = _Checker(program)
    checker.run()
    return checker.errors


@dataclass(slots=True)
class _Checker:
    program: Program
    errors: list[str] = field(default_factory=list)
    path: list[str] = field(default_factory=list)  # the bodies we are in
    seen: set[int] = field(default_factory=set)  # every value number defined so far
    visible: dict[int, Value] = field(default_factory=dict)
    qubits: Qubits = field(default_factory=Qubits)

    def run(self) -> None:
        p = self.program
        self._declarations()
        for value in (*p.inputs, *p.targets):
            self._define(value, f"input {value.name or value.id}")
        self._ops(p.body)
        for output in p.outputs:
            # An output is visible at the end of the program.
            self._use(output.value, f"return {output.name}".rstrip())

    def _say(self, where: str, complaint: str) -> None:
        self.errors.append(": ".join([*self.path, f"`{where}`", complaint]))

    # --- values ---------------------------------------------------------------------------------

    def _define(self, value: Value, where: str) -> None:
        # A value is defined once in the whole program, with a type that exists.
        if value.id in self.seen:
            self._say(where, f"%{value.id} is defined a second time")
        for complaint in _type_rules(value.type):
            self._say(where, f"%{value.id}: {complaint}")
        self.seen.add(value.id)
        self.visible[value.id] = value

    def _use(self, value: Value, where: str) -> None:
        # A value is used after its definition, inside the body that defines it, as that type.
        known = self.visible.get(value.id)
        if known is None:
            ended = "defined in a body that has ended"
            wrong = ended if value.id in self.seen else "not defined before this"
            self._say(where, f"%{value.id} is {wrong}")
        elif known.type != value.type:
            self._say(where, f"%{value.id} is {known.type}, and used as {value.type}")

    # --- declarations ---------------------------------------------------------------------------

    def _declarations(self) -> None:
        p = self.program
        # Names of inputs and targets, of weights, externs and outputs are unique among themselves.
        for what, names in (
            ("input or target", [v.name for v in (*p.inputs, *p.targets) if v.name]),
            ("weight", [w.name for w in p.weights]),
            ("extern", [e.name for e in p.externs]),
            ("output", [o.name for o in p.outputs]),
        ):
            for name, count in Counter(names).items():
                if count > 1:
                    self._say(f"{what} {name}".rstrip(), "this name is there twice")
        for weight in p.weights:
            for complaint in _weight_rules(weight):
                self._say(f"weight @{weight.name}", complaint)
        for extern in p.externs:
            for kind in (*extern.inputs, extern.result):
                for complaint in _type_rules(kind):
                    self._say(f"extern {extern.name}", complaint)
        for register in p.registers:
            # A register has at least one qubit and no more than can be; no two share one.
            where = f"qubits {register.name}[{register.size}] at q{register.start}"
            if register.start < 0 or register.space < 0 or not 1 <= register.size <= _MOST_QUBITS:
                self._say(where, f"its size is from 1 to {_MOST_QUBITS}, nothing is negative")
                continue
            for qubit in register.qubits:
                if qubit in self.qubits.space:
                    self._say(where, f"q{qubit} belongs to another register")
                    break
                self.qubits.space[qubit] = register.space

    # --- ops ------------------------------------------------------------------------------------

    def _ops(self, ops: Iterable[Op]) -> None:
        for op in ops:
            match op:
                case Loop():
                    self._loop(op)
                case If():
                    self._if(op)
                case _:
                    self._plain(op)

    def _plain(self, op: Op) -> None:
        where = print_op(op)
        for value in uses(op):
            self._use(value, where)
        classical = CLASSICAL.get(type(op))
        if classical is not None:
            complaints: Iterator[str] = classical(op, self.program)
        else:
            complaints = QUANTUM[type(op)](op, self.qubits)
        for complaint in complaints:
            self._say(where, complaint)
        for value in defs(op):
            self._define(value, where)

    def _body(self, name: str, ops: tuple[Op, ...]) -> None:
        self.path.append(name)
        self._ops(ops)
        self.path.pop()

    def _if(self, op: If) -> None:
        where = print_op(op)
        self._use(op.condition, where)
        # The condition is one bit.
        kind = op.condition.type
        if kind.kind != "bit" or kind.seq:
            self._say(where, f"the condition is {kind}; it has to be a bit")
        elif not 0 <= op.index < kind.count:
            self._say(where, f"there is no element {op.index} in {kind}")
        # No value leaves a branch, and both branches end with the same qubits alive.
        visible, alive = dict(self.visible), set(self.qubits.alive)
        ends = []
        for name, branch in (("if", op.then), ("else", op.orelse)):
            self.visible, self.qubits.alive = dict(visible), set(alive)
            self._body(name, branch)
            ends.append(self.qubits.alive)
        self.visible = visible
        if ends[0] != ends[1]:
            self._say(where, f"{_qubits(ends[0] ^ ends[1])} alive after only one of the branches")
            self.qubits.alive = ends[0] | ends[1]

    def _loop(self, op: Loop) -> None:
        where = f"loop {op.name}"
        # Items are moments of sequences.
        for item in op.items:
            self._use(item.sequence, where)
            if not item.sequence.type.seq or item.sequence.type.item != item.item.type:
                self._say(where, f"an item of {item.sequence.type} is not {item.item.type}")
        # A loop runs at least over one sequence, or some extra steps.
        if op.extra < 0 or (not op.items and op.extra == 0):
            self._say(where, "it has no sequence to run over, and no extra steps")
        # The flag is one number.
        if op.flag is not None and op.flag.type != Type("real"):
            self._say(where, f"the flag is {op.flag.type}; it has to be real")
        # A carry has one type throughout, which is not a sequence.
        for carry in op.carries:
            self._use(carry.initial, where)
            kinds = [v.type for v in (carry.initial, carry.arg, carry.next, carry.out)]
            if len(set(kinds)) > 1 or kinds[0].seq:
                self._say(where, f"a carry is {', '.join(map(str, kinds))}")
        # An emit collects values into a sequence of them; each has its own name.
        for emit in op.emits:
            if (
                emit.value.type.seq
                or not emit.out.type.seq
                or (emit.out.type.item != emit.value.type)
            ):
                self._say(where, f"emit {emit.name}: {emit.out.type} of {emit.value.type}")
        for name, count in Counter(e.name for e in op.emits).items():
            if count > 1:
                self._say(where, f"two emits are called {name!r}")

        visible, alive = dict(self.visible), set(self.qubits.alive)
        bound = [i.item for i in op.items] + [k.arg for k in op.carries]
        for value in bound if op.flag is None else [*bound, op.flag]:
            self._define(value, where)
        self._body(where, op.body)
        # What leaves a step is visible at its end.
        for value in [k.next for k in op.carries] + [e.value for e in op.emits]:
            self._use(value, where)
        # A step ends with the qubits alive that it began with: the next one starts from there.
        if self.qubits.alive != alive:
            self._say(where, f"{_qubits(self.qubits.alive ^ alive)} alive at only one end of it")
        # Nothing else that the body defines is visible outside.
        self.visible, self.qubits.alive = visible, alive
        for value in [k.out for k in op.carries] + [e.out for e in op.emits]:
            self._define(value, where)


def _qubits(qubits: set[int]) -> str:
    return ", ".join(f"q{q}" for q in sorted(qubits)) + (" is" if len(qubits) == 1 else " are")


def _type_rules(kind: Type) -> Iterator[str]:
    # Reals and bits have a shape and no size, the other kinds a size and no shape.
    if kind.kind not in KINDS:
        yield f"no type is called {kind.kind!r}"
    elif kind.kind in ("real", "bit"):
        if kind.size or any(d < 0 for d in kind.shape):
            yield f"{kind} is not a type"
    elif kind.shape or kind.size < 1:
        yield f"{kind} has to have one size, at least 1"


def _weight_rules(weight: Weight) -> Iterator[str]:
    # Its initial values exist and fit.
    initial: Initial = weight.initial
    if any(d < 0 for d in weight.shape):
        yield f"{weight.shape} is not a shape"
    if initial.kind == "values":
        if len(initial.args) != prod(weight.shape):
            yield f"{len(initial.args)} initial values for {prod(weight.shape)} numbers"
    elif initial.kind not in _INITIALS:
        yield f"no initial value is called {initial.kind!r}"
    elif len(initial.args) not in _INITIALS[initial.kind]:
        yield f"{initial.kind} does not take {len(initial.args)} numbers"
    if not all(map(isfinite, initial.args)):
        yield "its initial values have to be finite"
    if initial.kind == "haar" and not weight.unitary_qubits:
        yield "only a unitary begins as haar"
    # A unitary on k qubits has 4^k coefficients.
    k = weight.unitary_qubits
    if not 0 <= k <= _MOST_UNITARY_QUBITS:
        yield f"a trained unitary is on at most {_MOST_UNITARY_QUBITS} qubits"
    elif k and weight.shape != (4**k,):
        yield f"a unitary on {k} qubits has 4^{k} numbers"
