"""What differs between two results, beyond a tolerance: pure, and the same for all who compare."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from spusim.errors import SpusimError

Value = int | float | str

# group of quantities, which is what a tolerance is given for -> what a difference in it is
KINDS = {
    "outputs": "results",
    "cycles": "time",
    "stalls": "time",
    "counts": "counts",
    "energy": "energy",
    "memory": "memory",
    "area": "area",
}
RESULTS = "results"
SAME, DIFFERS, RESULTS_DIFFER = 0, 3, 4  # exit codes

# Energies are floats made of exact counts, summed in an order that other machines may change.
_ROUNDING = 1e-12
_TOLERANCE = re.compile(r"\s*([0-9.eE+-]+)\s*(%?)\s*")


class ToleranceError(SpusimError):
    """A tolerance that is none."""


@dataclass(frozen=True)
class Quantity:
    """A figure of a result.

    scale: what a tolerance is a share of; None for the figure itself. detail: one unit's or bank's
    share of another quantity. optional: not compared with a result that lacks it, where others
    count as 0.
    """

    group: str
    value: Value
    unit: str = ""
    scale: float | None = None
    detail: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Difference:
    """A quantity of both sides; None for one that a side lacks."""

    name: str
    group: str
    unit: str
    old: Value | None
    new: Value | None
    detail: bool = False

    @property
    def kind(self) -> str:
        """What it is a difference in: results, time, counts, energy, memory or area."""
        return KINDS[self.group]

    @property
    def change(self) -> float | None:
        """New minus old; None for texts."""
        if isinstance(self.old, str) or isinstance(self.new, str):
            return None
        return (self.new or 0) - (self.old or 0)

    @property
    def percent(self) -> float | None:
        """The change in % of the old; None for texts, and for what was nothing."""
        change = self.change
        if change is None or not self.old or isinstance(self.old, str):
            return None
        return 100 * change / abs(self.old)


@dataclass(frozen=True)
class Tolerances:
    """Share by which a group's quantities may change and still count as the same; default 0.

    Stalls may change by that share of their units' cycles, a term of the energy by that share of
    the total, and all others by that share of themselves. Outputs are compared to the bit.
    """

    shares: Mapping[str, float] = field(default_factory=dict)

    def of(self, group: str) -> float:
        """Return a group's share."""
        return self.shares.get(group, 0.0)

    def over(self, other: "Tolerances") -> "Tolerances":
        """Return these laid over others."""
        return Tolerances({**other.shares, **self.shares})


def read_tolerances(value: object, where: str) -> Tolerances:
    """Return the tolerances that a file says: a share for all groups, or a mapping by group.

    A share is a number from 0 to 1, or a percentage such as `0.5%`. Raises ToleranceError that
    begins with `where`.
    """
    if value is None:
        return Tolerances()
    if not isinstance(value, Mapping):
        share = _share(value, where)
        return Tolerances({group: share for group in KINDS if group != "outputs"})
    for group in value:
        if group not in KINDS or group == "outputs":
            rule = "outputs are compared to the bit" if group == "outputs" else "there is none"
            known = ", ".join(name for name in KINDS if name != "outputs")
            raise ToleranceError(f"{where}: tolerance of {group}: {rule}; groups: {known}")
    return Tolerances({str(group): _share(share, where) for group, share in value.items()})


def option_tolerances(options: Iterable[str]) -> Tolerances:
    """Return the tolerances of options such as `0.5%` or `cycles=1%`, later ones over earlier."""
    tolerances = Tolerances()
    for option in options:
        group, equals, share = option.partition("=")
        value: object = {group.strip(): share} if equals else option
        tolerances = read_tolerances(value, f"--tolerance {option}").over(tolerances)
    return tolerances


def differences(
    old: Mapping[str, Quantity], new: Mapping[str, Quantity], tolerances: Tolerances
) -> tuple[Difference, ...]:
    """Return the quantities that differ beyond their tolerances, in the order of `old`."""
    return tuple(
        pair
        for name, pair in pairs(old, new).items()
        if _differ(old.get(name), new.get(name), tolerances.of(pair.group))
    )


def pairs(old: Mapping[str, Quantity], new: Mapping[str, Quantity]) -> dict[str, Difference]:
    """Return both sides of every quantity, the same or not; of optional ones that both have."""
    found = {}
    for name in dict.fromkeys([*old, *new]):
        was, now = old.get(name), new.get(name)
        known = was or now
        assert known is not None
        if (was and now) or not known.optional:
            values = was.value if was else None, now.value if now else None
            found[name] = Difference(name, known.group, known.unit, *values, known.detail)
    return found


def kinds(found: Iterable[Difference]) -> tuple[str, ...]:
    """Return what differences are in, results first."""
    present = {difference.kind for difference in found}
    return tuple(kind for kind in dict.fromkeys(KINDS.values()) if kind in present)


def exit_code(found_kinds: Iterable[str]) -> int:
    """Return 4 where results differ, 3 where only other things do, 0 where nothing does."""
    present = set(found_kinds)
    if RESULTS in present:
        return RESULTS_DIFFER
    return DIFFERS if present else SAME


def _differ(was: Quantity | None, now: Quantity | None, share: float) -> bool:
    known = was or now
    assert known is not None
    values = [side.value if side else None for side in (was, now)]
    if any(isinstance(value, str) for value in values):
        return values[0] != values[1]
    one, other = (value if isinstance(value, int | float) else 0 for value in values)
    if one == other:
        return False
    exact = isinstance(one, int) and isinstance(other, int)
    if not exact and math.isclose(one, other, rel_tol=_ROUNDING):
        return False
    scale = abs(one) if known.scale is None else known.scale
    return not abs(other - one) <= share * scale  # NaN, of the infinite, is a difference


def _share(value: object, where: str) -> float:
    match = _TOLERANCE.fullmatch(str(value)) if not isinstance(value, bool) else None
    try:
        share = float(match[1]) / (100 if match[2] else 1) if match else math.nan
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise ToleranceError(
            f"{where}: tolerance (={value}) must be a share from 0 to 1 or a percentage; try 0.5%"
        )
    return share
