"""A row of the table: what was measured, its target, and how far it is from it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One figure. sense: ">=" or "<=" the target, "" where nothing is asked (target None)."""

    name: str
    measured: float
    unit: str = "x"
    sense: str = ""
    target: float | None = None
    detail: str = ""

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
        return "" if self.target is None else f"{self.sense} {self.target:g} {self.unit}"

    @property
    def verdict(self) -> str:
        """Met or missed, and by how much."""
        if self.margin is None:
            return "reported"
        if self.met:
            return f"met by {100 * (self.margin - 1):.0f} %"
        return f"MISSED by {100 * (1 / self.margin - 1):.0f} %"
