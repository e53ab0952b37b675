"""Shares of runs with their Clopper-Pearson intervals."""

from collections.abc import Iterable
from dataclasses import dataclass

from scipy import special


@dataclass(frozen=True)
class Rate:
    """``hits`` of ``n``."""

    hits: int
    n: int

    @property
    def share(self) -> float:
        return self.hits / self.n if self.n else float("nan")

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided, never narrower than it says: Clopper & Pearson 1934. For draws that are independent of each other."""
        tail, misses = (1 - level) / 2, self.n - self.hits
        low = float(special.betaincinv(self.hits, misses + 1, tail)) if self.hits else 0.0
        high = float(special.betaincinv(self.hits + 1, misses, 1 - tail)) if misses else 1.0
        return low, high

    @property
    def brief(self) -> str:
        """``3.0 % (1.1 to 6.4)``, where n stands elsewhere."""
        return f"{self}".partition(",")[0] + ")" if self.n else "—"

    def __str__(self) -> str:
        """``3.0 % (1.1 to 6.4, 6 of 200)``."""
        if not self.n:
            return "—"
        low, high = self.interval()
        return f"{self.share * 100:.1f} % ({low * 100:.1f} to {high * 100:.1f}, {self.hits} of {self.n})"


def rate(outcomes: Iterable[bool]) -> Rate:
    """How many of the outcomes are true."""
    listed = [bool(outcome) for outcome in outcomes]
    return Rate(sum(listed), len(listed))
