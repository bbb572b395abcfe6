"""The sky: three bands that are looked at before a run starts.

*Entropy*: how far one update at the full learning rate would move the entropy of the model's
outputs, up or down, as a share of how far it could go. *Touch*: how often the run would read each
record of its data. *Consent*: the share of sequences that this update would serve, plus how
undecided the model is: what is undecided may be settled by few, what is decided only by a majority.
"""

from __future__ import annotations

from dataclasses import dataclass

from qrlang.governor.bounds import Bounds


@dataclass(frozen=True, slots=True)
class Band:
    name: str
    value: float
    bound: float
    least: bool  # the bound is the least that is calm, not the most
    means: str  # one sentence with the value in it

    @property
    def calm(self) -> bool:
        # A value that is none is not calm.
        return self.value >= self.bound if self.least else self.value <= self.bound

    def said(self) -> str:
        """`entropy 0.8, at most 0.5: one update would …`"""
        limit = f"at {'least' if self.least else 'most'} {self.bound:g}"
        return f"{self.name} {self.value:.3g}, {limit}: {self.means}"


def bands(
    bounds: Bounds, *, moved: float, way: float, touched: float, hesitation: float, consent: float
) -> tuple[Band, ...]:
    return (
        Band(
            "entropy", share(moved, way), bounds.entropy, False,
            f"one update would move the entropy of its outputs by {signed(moved)} bits, "
            f"{100 * share(moved, way):.0f} % of the way that it could go",
        ),
        Band(
            "touch", touched, bounds.touch, False,
            f"the run would read each record {touched:.3g} times",
        ),
        Band(
            "consent", hesitation + consent, bounds.consent, True,
            f"it is {100 * hesitation:.0f} % undecided, and one update would serve "
            f"{100 * consent:.0f} % of the sequences watched",
        ),
    )  # fmt: skip


def share(moved: float, way: float) -> float:
    return abs(moved) / way


def signed(value: float) -> str:
    """With a sign that one sees."""
    return f"{value:+.3g}".replace("-", "−")
