"""SmartSkip's published speedups beside ours."""

from collections.abc import Mapping, Sequence

from spusim.experiments.charts.measures import TIMES
from spusim.experiments.charts.records import Axis, LineChart, Panel, Quantity, Role, Series

_X = Axis(Quantity("parameter reduction", TIMES), zero=True)
_Y = Axis(Quantity("speedup", TIMES), zero=True)

Points = Sequence[tuple[float, float]]


def smartskip_fit(
    published: Points, ours: Mapping[int, Points], networks: Mapping[str, tuple[float, float]]
) -> LineChart:
    """Return the 3 x 3 curve, ours for each number of channels, and whole networks.

    published: (reduction, speedup); ours: channels -> the same, the published number of channels
    first; networks: name -> published and our gain.
    """
    reach = [x for x, _ in published]
    first, *others = ours
    compared = Panel(
        f"3 x 3, {first} channels and filters",
        _X, _Y,
        (
            _series("ideal", [(x, x) for x in reach], Role.IDEAL, hue=-1),
            _series("published (digitised, +-0.03)", published, Role.CLOUD, hue=1),
            _series("ours", ours[first], Role.MEASURED, hue=0),
        ),
    )  # fmt: skip
    grown = Panel(
        "by channels, the same machine",
        _X, _Y,
        tuple(
            _series(f"{channels} channels", ours[channels], Role.MEASURED, hue=2 + k)
            for k, channels in enumerate(others)
        ),
    )  # fmt: skip
    notes = tuple(
        f"{name}: published {told:.2f}, ours {found:.2f} ({found / told - 1:+.1%})"
        for name, (told, found) in networks.items()
    )
    return LineChart("smartskip_fit", "SmartSkip: published and ours", (compared, grown), 2, notes)


def _series(label: str, points: Points, role: Role, hue: int) -> Series:
    xs, ys = tuple(x for x, _ in points), tuple(y for _, y in points)
    return Series(label, xs, ys, tuple(() for _ in xs), role, hue)
