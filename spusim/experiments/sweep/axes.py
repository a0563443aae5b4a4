"""Axes: values by parameter, and the points that they span."""

import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spusim.arch.document import Entry
from spusim.experiments.sweep.file import Part, SweepError

MOST_VALUES = 1_000_000  # of a range
_DIGITS = 12  # a range's values are rounded to, so that 0.1 + 0.2 is 0.3

Assignment = dict[str, Entry]


@dataclass(frozen=True)
class Axis:
    """A parameter's name, its values with the lines that gave them, and how it was said."""

    name: str
    entries: tuple[Entry, ...]
    how: str  # grid, zip or list
    origin: str

    @property
    def values(self) -> list[Any]:
        """The values, plain."""
        return [entry.plain for entry in self.entries]


@dataclass(frozen=True)
class Axes:
    """All axes of a part: each block's alternatives are combined with every other block's."""

    axes: tuple[Axis, ...]
    blocks: tuple[tuple[Assignment, ...], ...]

    @property
    def count(self) -> int:
        """Number of combinations."""
        return math.prod(map(len, self.blocks))

    def assignments(self) -> Iterator[Assignment]:
        """Yield the combinations, the last axis changing fastest."""
        for choice in itertools.product(*self.blocks):
            yield {name: entry for part in choice for name, entry in part.items()}


def read_axes(part: Part) -> Axes:
    """Return a part's axes: list first, then zip, then grid. Raises SweepError."""
    listed, zipped, grid = (_listed(part), _mapped(part, "zip"), _mapped(part, "grid"))
    axes = (*listed, *zipped, *grid)
    _check_unique(axes)
    if not axes and part.file.replicas == 1:
        raise SweepError(
            f"{part.tree.origin}: {part.name}: has no axes; give grid, zip or list a parameter "
            "with its values, such as `grid: {core.queue.depth: [1, 2, 4]}`"
        )
    lengths = {len(axis.entries) for axis in zipped}
    if len(lengths) > 1:
        told = ", ".join(f"{axis.name} has {len(axis.entries)}" for axis in zipped)
        raise SweepError(f"{zipped[0].origin}: axes of zip must have equally many values; {told}")
    blocks = [_together(listed), _together(zipped), *(_together([axis]) for axis in grid)]
    return Axes(axes, tuple(block for block in blocks if block))


def shown(value: Any) -> str:
    """Return a value as people and tables read it: text as it is, else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _together(axes: tuple[Axis, ...] | list[Axis]) -> tuple[Assignment, ...]:
    if not axes:
        return ()
    return tuple({axis.name: axis.entries[k] for axis in axes} for k in range(len(axes[0].entries)))


def _listed(part: Part) -> tuple[Axis, ...]:
    entry = part.entry("list")
    points = entry.value if entry else []
    if not points:
        return ()
    names = list(points[0].value)
    for point in points:
        if set(point.value) != set(names) or not names:
            raise SweepError(
                f"{point.origin}: points of list must name the same parameters; the first names "
                f"{', '.join(names) or 'none'}, this one {', '.join(point.value) or 'none'}"
            )
    return tuple(
        Axis(name, tuple(p.value[name] for p in points), "list", points[0].value[name].origin)
        for name in names
    )


def _mapped(part: Part, how: str) -> tuple[Axis, ...]:
    entry = part.entry(how)
    found = entry.value.items() if entry else ()
    # null takes back what a base has
    return tuple(
        Axis(name, _values(name, values, repeats=how == "zip"), how, values.origin)
        for name, values in found
        if values.value is not None
    )


def _values(name: str, entry: Entry, repeats: bool) -> tuple[Entry, ...]:
    if isinstance(entry.value, dict):
        return tuple(Entry(v, entry.origin, entry.layer) for v in _range(name, entry))
    if not isinstance(entry.value, list):
        raise SweepError(
            f"{entry.origin}: {name} (={shown(entry.plain)}) must be a list of values or a range; "
            f"write [{shown(entry.plain)}], or `set: [{name}={shown(entry.plain)}]`"
        )
    if not entry.value:
        raise SweepError(f"{entry.origin}: {name} has no values; give at least one")
    seen: set[str] = set()
    for item in entry.value:
        text = shown(item.plain)
        if text in seen and not repeats:
            raise SweepError(f"{item.origin}: {name}: {text} is there twice; keep one")
        seen.add(text)
    return tuple(entry.value)


def _range(name: str, entry: Entry) -> list[float]:
    """Return the values of {from, to, steps[, log]} or {from, to, by}, both ends included."""
    given = {key: item.plain for key, item in entry.value.items()}
    where = f"{entry.origin}: {name}"
    known = {"from", "to", "steps", "by", "log"}
    numbers = all(_is_number(given.get(key)) for key in ("from", "to"))
    if set(given) - known or not numbers or ("steps" in given) == ("by" in given):
        raise SweepError(
            f"{where}: a range is from and to with steps or by, such as "
            "{from: 0, to: 1, steps: 5}, {from: 1, to: 64, steps: 7, log: true} or "
            "{from: 2, to: 8, by: 2}"
        )
    if "by" in given:
        return _counted(where, given)
    return _spread(where, given)


def _counted(where: str, given: dict[str, Any]) -> list[float]:
    first, last, by = given["from"], given["to"], given["by"]
    if not _is_number(by) or not by or (last - first) / by < 0 or "log" in given:
        raise SweepError(
            f"{where}: by (={shown(by)}) must lead from {first} to {last}, without log; change "
            "its sign, or give steps"
        )
    steps = math.floor((last - first) / by + 1e-9) + 1
    _check_size(where, steps)
    return [_tidy(first + k * by, given) for k in range(steps)]


def _spread(where: str, given: dict[str, Any]) -> list[float]:
    first, last, steps, log = given["from"], given["to"], given["steps"], given.get("log", False)
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 2:
        raise SweepError(f"{where}: steps (={shown(steps)}) must be a whole number of at least 2")
    if first == last:
        raise SweepError(f"{where}: from and to (={first}) must differ; write a list instead")
    _check_size(where, steps)
    if log is True:
        if min(first, last) <= 0:
            raise SweepError(f"{where}: from and to must be above 0 for log: true")
        ratio = math.log(last / first)
        return [_tidy(first * math.exp(ratio * k / (steps - 1)), given) for k in range(steps)]
    return [_tidy(first + (last - first) * k / (steps - 1), given) for k in range(steps)]


def _tidy(value: float, given: dict[str, Any]) -> float:
    """Round off what binary fractions add; whole numbers between whole ends are integers."""
    rounded = float(f"{value:.{_DIGITS}g}")
    whole = isinstance(given["from"], int) and isinstance(given["to"], int)
    return int(rounded) if whole and rounded.is_integer() else rounded


def _check_size(where: str, steps: int) -> None:
    if steps > MOST_VALUES:
        raise SweepError(f"{where}: has {steps:,} values; at most {MOST_VALUES:,} are taken")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_unique(axes: tuple[Axis, ...]) -> None:
    seen: dict[str, Axis] = {}
    for axis in axes:
        if axis.name in seen:
            other = seen[axis.name]
            raise SweepError(
                f"{axis.origin}: {axis.name} is in {axis.how} and in {other.how} "
                f"({other.origin}); keep one"
            )
        seen[axis.name] = axis
