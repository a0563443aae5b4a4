"""A row of the table: what was measured, its target, and how far it is from it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One figure. sense: ">=" or "<=" the target, "" where nothing is asked (target None).

    stretch: a further target that is told beside it, and never missed.
    """

    name: str
    measured: float
    unit: str = "x"
    sense: str = ""
    target: float | None = None
    detail: str = ""
    stretch: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        return self.measured >= self.target if self.sense == ">=" else self.measured <= self.target

    @property
    def margin(self) -> float | None:
        """How many times better (above 1) or worse than the target; None without one."""
        if self.target is None:
            return None
        ratio = self.measured / self.target
        return ratio if self.sense == ">=" else 1.0 / ratio

    @property
    def wanted(self) -> str:
        """The target as the table prints it."""
        if self.target is None:
            return ""
        further = "" if self.stretch is None else f" ({self.stretch:g})"
        return f"{self.sense} {self.target:g}{further} {self.unit}".rstrip()

    @property
    def verdict(self) -> str:
        """Met or missed, and by how much."""
        if self.margin is None:
            return "reported"
        if self.met:
            return f"met by {_distance(self.margin)}"
        return f"MISSED by {_distance(1 / self.margin)}"


def _distance(factor: float) -> str:
    """Tell how far a factor is from 1."""
    return f"a factor of {factor:.1f}" if factor >= 2 else f"{100 * (factor - 1):.0f} %"
