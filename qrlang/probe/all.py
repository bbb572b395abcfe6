"""The diagnostics by name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qrlang.probe.errors import ProbeError
from qrlang.probe.finding import Finding
from qrlang.probe.subject import Subject


def probes(
    subject: Subject, kinds: Sequence[str], options: Mapping[str, Mapping[str, Any]]
) -> Iterator[Finding | tuple[str, ProbeError]]:
    """Each finding (`probe` in the module of its name makes it), or its name and why not."""
    for kind in kinds:
        probe = importlib.import_module(f"qrlang.probe.{kind}").probe
        try:
            yield probe(subject, **options.get(kind, {}))
        except ProbeError as error:
            yield kind, error
