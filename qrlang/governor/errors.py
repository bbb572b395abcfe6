"""Why a governed run does not start."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qrlang.errors import UserError
from qrlang.governor.sky import Band


class NotCalm(UserError):
    """The sky is not calm, and nobody has named a reason to start all the same."""

    def __init__(self, restless: Sequence[Band], folder: Path) -> None:
        names = " and ".join(b.name for b in restless)
        super().__init__(
            f"the run does not start: {names} {'is' if len(restless) == 1 else 'are'} not calm",
            f"change what it asks for, or the bounds of the `govern` block; see {folder}/sky.svg. "
            'To start all the same, train anew and name a reason: --override "…"; the ledger keeps '
            "it",
        )
