"""The rule: when the action space grows faster than entropy burns, the run only listens.

Pure: numbers in, a decision out. The action space of a cycle is what its update reaches in bits
(`behaviour.reach`); before the first update it is nothing. Over the last `window` cycles

    growth = action now - action then        burned = entropy then - entropy now

and parameters freeze when growth > max(burned, 0) + allow. They thaw when for a whole window each
cycle's action space has been no larger than it was where that growth began, plus `allow`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from qrlang.governor.bounds import Bounds


@dataclass(frozen=True, slots=True)
class Verdict:
    frozen: bool
    growth: float
    burned: float
    changed: bool  # it was otherwise before


@dataclass
class Rule:
    bounds: Bounds
    seen: list[tuple[float, float]] = field(default_factory=list)  # (action, entropy), the latest
    frozen: bool = False
    calm_at: float = 0.0  # the action space where the growth began that froze the run
    quiet: int = 0  # cycles in a row that were calm

    def judge(self, action: float, before: float, entropy: float) -> Verdict:
        """One cycle: its action space, the entropy before its update and the one it leaves."""
        if not self.seen:
            self.seen = [(0.0, before)]
        self.seen = [*self.seen, (action, entropy)][-self.bounds.window - 1 :]
        then = self.seen[0]
        growth, burned = action - then[0], then[1] - entropy
        was = self.frozen
        if self.frozen:
            self.quiet = self.quiet + 1 if action <= self.calm_at + self.bounds.allow else 0
            if self.quiet >= self.bounds.window:
                self.frozen, self.quiet = False, 0
                self.seen = [(action, entropy)]
        elif growth > max(burned, 0.0) + self.bounds.allow:
            self.frozen, self.quiet, self.calm_at = True, 0, then[0]
        return Verdict(self.frozen, growth, burned, self.frozen != was)

    def state(self) -> dict[str, Any]:
        return {"seen": [list(x) for x in self.seen], "frozen": self.frozen,
                "calm_at": self.calm_at, "quiet": self.quiet}  # fmt: skip

    def load(self, state: dict[str, Any]) -> None:
        self.seen = [(float(a), float(h)) for a, h in state["seen"]]
        self.frozen, self.calm_at = bool(state["frozen"]), float(state["calm_at"])
        self.quiet = int(state["quiet"])
