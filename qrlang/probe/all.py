"""The diagnostics by name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qrlang.probe.errors import ProbeError
from qrlang.probe.finding import Finding
from qrlang.probe.subject import Subject

# Each is `probe` in the module of its name.
KINDS = {
    "entropy": "Entanglement entropy over time and over every cut.",
    "gradients": "Variance of gradients against qubits and layers.",
    "ansatz": "Expressibility and entangling capability.",
    "jacobian": "How much the loop amplifies noise of its readouts.",
    "memory": "How far back an input can be told from the readouts.",
    "bloch": "Bloch vectors and readouts over time.",
}


def probes(
    subject: Subject, kinds: Sequence[str], options: Mapping[str, Mapping[str, Any]]
) -> Iterator[Finding | tuple[str, ProbeError]]:
    """Each finding, or its name and why there is none."""
    for kind in kinds:
        probe = importlib.import_module(f"qrlang.probe.{kind}").probe
        try:
            yield probe(subject, **options.get(kind, {}))
        except ProbeError as error:
            yield kind, error
