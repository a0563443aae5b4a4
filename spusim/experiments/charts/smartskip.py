"""SmartSkip's published speedups beside ours: one layer's curve, and whole networks."""

from collections.abc import Mapping, Sequence

from spusim.experiments.charts.measures import TIMES
from spusim.experiments.charts.records import Axis, LineChart, Panel, Quantity, Role, Series

_X = Axis(Quantity("parameter reduction", TIMES), zero=True)
_Y = Axis(Quantity("speedup", TIMES), zero=True)

Points = Sequence[tuple[float, float]]


def smartskip_curve(published: Points, ours: Mapping[int, Points]) -> LineChart:
    """Return the 3 x 3 curve, and ours for each number of channels.

    published: (reduction, speedup); ours: channels -> the same, the published number of channels
    first.
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
    return LineChart("smartskip_figure", "SmartSkip: published and ours", (compared, grown), 2)


def network_gains(networks: Mapping[str, Mapping[str, Mapping[str, float]]]) -> LineChart:
    """Return gains by kind of layer: network -> what is drawn -> kind of layer -> gain."""
    panels = tuple(_network(name, gains) for name, gains in networks.items())
    return LineChart("resnet50_gains", "SmartSkip: pruned ResNet-50s", panels, 2)


def _network(name: str, gains: Mapping[str, Mapping[str, float]]) -> Panel:
    kinds = dict.fromkeys(kind for found in gains.values() for kind in found)
    place = {kind: float(x) for x, kind in enumerate(kinds)}
    series = tuple(
        _series(label, [(place[kind], gain) for kind, gain in found.items()], Role.CLOUD, hue)
        for hue, (label, found) in enumerate(gains.items(), -1)
    )
    ticks = tuple((x, kind) for kind, x in place.items())
    return Panel(name, Axis(Quantity("layers", "stage and kernel"), ticks=ticks), _Y, series)


def _series(label: str, points: Points, role: Role, hue: int) -> Series:
    xs, ys = tuple(x for x, _ in points), tuple(y for _, y in points)
    return Series(label, xs, ys, tuple(() for _ in xs), role, hue)
