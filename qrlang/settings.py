"""Which observables of a readout one measurement setting serves."""

from __future__ import annotations

from qrlang.ir.program import Expect


def settings_of(op: Expect) -> tuple[tuple[int, ...], ...]:
    """Groups of observables measured together: the pass's, or first fit, qubit by qubit."""
    if op.settings:
        return op.settings
    bases: list[dict[int, str]] = []
    groups: list[list[int]] = []
    for i, observable in enumerate(op.observables):
        # An observable whose own terms disagree on a qubit needs several settings.
        for _, string in observable:
            for basis, group in zip(bases, groups, strict=True):
                if all(basis.get(q, p) == p for q, p in string):
                    basis.update(string)
                    if i not in group:
                        group.append(i)
                    break
            else:
                bases.append(dict(string))
                groups.append([i])
    return tuple(tuple(group) for group in groups)


def basis_of(op: Expect, setting: tuple[int, ...]) -> tuple[tuple[int, str], ...]:
    """The letter in which each qubit is measured."""
    basis: dict[int, str] = {}
    for i in setting:
        for _, string in op.observables[i]:
            basis.update(string)
    return tuple(sorted(basis.items()))
