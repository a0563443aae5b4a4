"""Roofline: effective MACs a cycle against effective MACs a byte of weights' memory read."""

import re
from typing import Any

import polars as pl

from spusim.experiments.charts.records import (
    Axis,
    LineChart,
    Panel,
    Quantity,
    Role,
    Scale,
    Series,
)
from spusim.experiments.charts.select import (
    Curve,
    UnfitError,
    curves,
    is_number,
    missing,
    parameter_text,
    part_layer,
    part_rows,
    part_title,
    varied,
)
from spusim.experiments.charts.speedup import WEIGHT_AXES
from spusim.experiments.results import Results

_MEMORIES = {
    "weight_memory": re.compile(r"^core\d+\.pe\d+\.weight_memory$"),
    "data_memory": re.compile(r"^core\d+\.data_memory\.bank\d+$"),
}
_MOST_ROOFS, _MOST_CLOUDS = 6, 8
_MARGIN = 2.0  # factor by which roofs go beyond the points

_Machine = tuple[str, int, float]  # the memory that holds weights, bytes a word, bytes a cycle


def roofline(results: Results) -> LineChart:
    """Return points under the roofs of their machines. Raises UnfitError.

    Read are bytes of the memory that holds the weights: the PEs' own, else the data banks. A
    bank gives a word a cycle, so its width bounds MACs a cycle; so does peak_macs_per_cycle.
    """
    panels = []
    for _, rows in part_rows(results):
        panel = _panel(results, rows.filter(pl.col("macs_effective") > 0))
        panels += [panel] if panel else []
    if not panels:
        raise UnfitError(
            "needs a finished point with effective MACs that reads its weights' memory"
        )
    columns = min(2, len(panels))
    return LineChart("roofline", "Roofline", tuple(panels), columns, missing(results))


def _panel(results: Results, rows: pl.DataFrame) -> Panel | None:
    if not rows.height:
        return None
    machines = {
        arch: _machine(results.record(key)) for arch, key in
        rows.unique("arch_hash", maintain_order=True).select("arch_hash", "key").rows()
    }  # fmt: skip
    axes = varied(results, rows)
    along = [a for a in axes if a in WEIGHT_AXES] or [a for a in axes if is_number(rows, a)]
    points = [_cloud(curve, machines) for curve in _clouds(results, rows, along[:1])]
    points = [cloud for cloud in points if cloud.x]
    if not points:
        return None
    reach = [x for cloud in points for x in cloud.x]
    roofs = _roofs(rows, machines, min(reach), max(reach))
    return Panel(
        part_title(rows, part_layer(results, rows)),
        Axis(Quantity("effective MACs a byte read", "MAC/B"), Scale.LOG),
        Axis(Quantity("effective MACs a cycle", "MAC/cycle"), Scale.LOG),
        (*roofs, *points),
    )


def _clouds(results: Results, rows: pl.DataFrame, along: list[str]) -> list[Curve]:
    """Return the points apart by what was swept; by the first axis only where that is a lot."""
    found = curves(results, rows, along)
    if len(found) <= _MOST_CLOUDS:
        return found
    axis = found[0].axes[0]
    return [
        Curve(parameter_text(axis, value), group, hue)
        for hue, ((value,), group) in enumerate(rows.group_by([axis], maintain_order=True))
    ]


def _machine(record: dict[str, Any]) -> _Machine:
    banks = record["memory"]["banks"]
    for memory, pattern in _MEMORIES.items():
        widths = [bank["word_bits"] / 8 for name, bank in banks.items() if pattern.match(name)]
        if widths:
            return memory, int(widths[0]), sum(widths)
    return "data_memory", 0, 0.0


def _cloud(curve: Curve, machines: dict[str, _Machine]) -> Series:
    found = []
    for row in curve.rows.iter_rows(named=True):
        memory, word, _ = machines[row["arch_hash"]]
        read = word * (row.get(f"count.{memory}.read") or 0)
        if read:
            found.append((row["macs_effective"] / read, row["macs_effective"] / row["cycles"],
                          row["point"]))  # fmt: skip
    return Series(
        curve.label or str(curve.rows["part"][0]),
        tuple(x for x, _, _ in found),
        tuple(y for _, y, _ in found),
        tuple((number,) for _, _, number in found),
        Role.CLOUD,
        curve.hue,
        curve.dash,
    )


def _roofs(
    rows: pl.DataFrame, machines: dict[str, _Machine], left: float, right: float
) -> list[Series]:
    """Return the roof of each machine, of the lowest and highest where there are many."""
    pairs = rows.select("peak_macs_per_cycle", "arch_hash").unique(maintain_order=True).rows()
    found = sorted({(peak, machines[arch][2]) for peak, arch in pairs if machines[arch][2]})
    if len(found) > _MOST_ROOFS:
        found = [found[0], found[-1]]
    roofs = []
    ridges = [peak / width for peak, width in found]
    ends = (min(left, *ridges) / _MARGIN, max(right, *ridges) * _MARGIN)
    for peak, width in found:
        xs = (ends[0], peak / width, ends[1])
        ys = (width * xs[0], float(peak), float(peak))
        label = f"roof: {peak} MAC/cycle, {width:g} B/cycle"
        roofs.append(Series(label, xs, ys, (), Role.BOUND, hue=-1))
    return roofs
