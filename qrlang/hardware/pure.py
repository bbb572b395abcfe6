"""The same circuit without anything in its middle: what a state vector can do exactly.

A measured bit becomes a qubit that the measured one is copied to, and gates under it controlled
gates; a reset leaves the old qubit behind and goes on with a fresh one. Every distribution stays
as it is. A step with a `bit` is where that is read: the copying, or a barrier where the qubit
itself stands for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from qrlang.hardware.device import Step, Template


@dataclass(frozen=True, slots=True)
class Pure:
    template: Template
    qubits: tuple[int, ...]  # where the qubits are at the end
    bits: tuple[int, ...]  # where the measured bits are


def pure(template: Template) -> Pure:
    if template.pure:
        return Pure(template, tuple(range(template.qubits)), ())
    where = list(range(template.qubits))
    bits: dict[int, int] = {}
    count = template.qubits
    steps: list[Step] = []

    def fresh() -> int:
        nonlocal count
        count += 1
        return count - 1

    spare = _given_up(template.steps)
    for b in range(template.bits):
        if b not in spare:
            bits[b] = fresh()
    for s in template.steps:
        if s.bit in spare and s.name == "measure":
            bits[s.bit] = where[s.qubits[0]]  # the qubit itself, which nobody touches again
            steps.append(Step("barrier", (bits[s.bit],), bit=s.bit))
            continue
        ones = tuple(bits[b] for b, value in s.when if value)
        zeros = tuple(bits[b] for b, value in s.when if not value)
        on = tuple(where[q] for q in s.qubits)
        if s.name == "measure":
            steps.append(Step("x", (bits[s.bit],), controls=(*on, *ones), zeros=zeros, bit=s.bit))
        elif s.name == "reset":
            new = fresh()
            if s.when:
                steps.append(Step("swap", (on[0], new), controls=ones, zeros=zeros))
            else:
                where[s.qubits[0]] = new
        elif s.name == "barrier":
            steps.append(replace(s, qubits=on))
        else:
            controls = tuple(where[q] for q in s.controls)
            off = tuple(where[q] for q in s.zeros)
            steps.append(
                replace(s, qubits=on, controls=(*controls, *ones), zeros=(*off, *zeros), when=())
            )
    basis = tuple((where[q], letter) for q, letter in template.basis)
    made = Template(count, 0, tuple(steps), template.parameters, basis, template.fold,
                    twirl=template.twirl)  # fmt: skip
    return Pure(made, tuple(where), tuple(bits[b] for b in range(template.bits)))


def _given_up(steps: tuple[Step, ...]) -> set[int]:
    """Bits whose qubit is reset right after it was measured."""
    found: set[int] = set()
    following: dict[int, Step] = {}
    for s in reversed(steps):
        if s.name == "measure" and not s.when:
            after = following.get(s.qubits[0])
            if after is not None and after.name == "reset" and not after.when:
                found.add(s.bit)
        for q in (*s.qubits, *s.controls, *s.zeros):
            following[q] = s
    return found
