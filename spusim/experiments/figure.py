"""A run as a figure of four panels, for print and for people who see few colours."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator

from spusim.experiments.figures.style import (
    BUSY,
    CAUSES,
    MUTED,
    STYLE,
    UNKNOWN_CAUSE,
    new_figure,
)
from spusim.experiments.quantities import count, si
from spusim.experiments.units import SECTIONS, UnitGroup, grouped
from spusim.result import RunResult

_ACHIEVED, _IDEAL = "#332288", "#88CCEE"
_MOST_FILES_MARKED = 40


def run_figure(result: RunResult) -> Figure:
    """Draw cycles of each frame, cycles of each unit by cause, energy and speedup, 7.2 x 6.6 in.

    Energy must be attached; without a baseline the speedup's panel says so.
    """
    with matplotlib.rc_context(STYLE):
        rows = _unit_groups(result)
        figure = new_figure(7.2, 4.2 + 0.17 * len(rows))
        panels: dict[str, Axes] = figure.subplot_mosaic(
            [["frames", "speedup"], ["units", "energy"]],
            width_ratios=(1.9, 1),
            height_ratios=(1.6, 1.0 + 0.2 * len(rows)),
        )
        _draw_frames(panels["frames"], result)
        _draw_speedup(panels["speedup"], result)
        _draw_units(panels["units"], result, rows)
        _draw_energy(panels["energy"], result)
        figure.suptitle(
            f"{result.name} on {result.arch_name}: {count(result.frames, 'frame')}, "
            f"{result.cycles:,} cycles at {result.clock_mhz:g} MHz",
            fontsize=9,
        )
    return figure


def _draw_frames(axes: Axes, result: RunResult) -> None:
    cycles = result.frame_cycles
    marker = "o" if len(cycles) < 50 else ""
    axes.plot(
        np.arange(len(cycles)), cycles, color=BUSY, linewidth=0.9, marker=marker, markersize=3
    )
    axes.axhline(cycles.mean(), color="black", linewidth=0.6, linestyle="--")
    axes.text(
        0.99, 0.05, f"dashed: mean {cycles.mean():,.0f}", ha="right", transform=axes.transAxes
    )
    starts = np.cumsum([0, *(file["frames"] for file in result.details.get("files", []))])[1:-1]
    if 0 < len(starts) < _MOST_FILES_MARKED:
        for start in starts:
            axes.axvline(start - 0.5, color="0.75", linewidth=0.5, zorder=0)
        axes.set_xlabel("frame (grey lines: a new file begins)")
    else:
        axes.set_xlabel("frame")
    axes.set_ylim(0, 1.12 * cycles.max())
    axes.set_xlim(-0.5, len(cycles) - 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_ylabel("cycles")
    axes.set_title("Cycles per frame")
    latency = axes.twinx()
    latency.set_ylim(0, axes.get_ylim()[1] / result.clock_mhz)
    latency.spines["right"].set_visible(True)
    latency.set_ylabel("latency (µs)")


def _draw_speedup(axes: Axes, result: RunResult) -> None:
    axes.set_title("Speedup")
    if not result.speedup:
        axes.text(0.5, 0.5, "baseline left out", ha="center", va="center", color="0.4")
        axes.set_axis_off()
        return
    values = [result.speedup["achieved"], result.speedup["ideal"]]
    shown = [value if np.isfinite(value) else 0.0 for value in values]
    bars = axes.bar(["achieved", "ideal"], shown, color=[_ACHIEVED, _IDEAL], width=0.6)
    bars[1].set_hatch("////")
    bars[1].set_edgecolor("white")
    for x, value in enumerate(values):
        text = f"{value:.2f}x" if np.isfinite(value) else "unbounded"
        axes.annotate(
            text, (x, shown[x]), ha="center", va="bottom", xytext=(0, 1.5),
            textcoords="offset points",
        )  # fmt: skip
    axes.axhline(1, color="black", linewidth=0.6, linestyle=":")
    axes.set_ylim(0, 1.15 * max(1.0, *shown))
    axes.set_ylabel("over skipping nothing")


def _draw_units(axes: Axes, result: RunResult, rows: Sequence[UnitGroup]) -> None:
    causes = [c for c in _ordered(rows) if any(group.causes.get(c) for group in rows)]
    places = np.arange(len(rows))
    left = np.zeros(len(rows))
    for cause in causes:
        shares = np.array(
            [100 * g.causes.get(cause, 0) / max(1, g.members * result.cycles) for g in rows]
        )
        colour, hatch = CAUSES.get(cause, UNKNOWN_CAUSE)
        axes.barh(
            places, shares, left=left, color=colour, hatch=hatch, edgecolor="white", linewidth=0.3,
            height=0.78,
        )  # fmt: skip
        left += shares
    axes.set_yticks(places, [_name(group) for group in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("% of the run's cycles")
    axes.set_title("Where the cycles of every unit went")
    handles = [_patch(cause) for cause in causes]
    axes.figure.legend(handles=handles, loc="outside lower center", ncols=7, fontsize=6.5)


def _draw_energy(axes: Axes, result: RunResult) -> None:
    frames = max(1, result.frames)
    terms = sorted(
        ((v * 1e-12 / frames, t) for t, v in result.energy_pj.items() if v and t != "total"),
        reverse=True,
    )
    values = [value for value, _ in terms]
    places = np.arange(len(terms))
    axes.barh(places, values, color=MUTED[2], height=0.7)
    total = sum(values)
    for place, value in zip(places, values, strict=True):
        axes.annotate(
            f"{100 * value / total:.1f} %", (value, place), va="center", xytext=(2, 0),
            textcoords="offset points",
        )  # fmt: skip
    axes.set_yticks(places, [term.replace("_", " ") for _, term in terms])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.3 * max(values, default=1))
    axes.xaxis.set_major_formatter(EngFormatter("J"))
    axes.locator_params(axis="x", nbins=4)
    axes.set_title(f"Energy a frame: {si(total, 'J')}")


def _unit_groups(result: RunResult) -> list[UnitGroup]:
    groups = [group for section in SECTIONS for group in grouped(result.stalls, section)]
    return sorted(groups, key=lambda group: group.name.partition(".")[0].partition(" ")[0])


def _name(group: UnitGroup) -> str:
    return group.name + (f" (mean of {group.members})" if group.members > 1 else "")


def _ordered(rows: Sequence[UnitGroup]) -> list[str]:
    found = {cause for group in rows for cause in group.causes}
    known = [cause for cause in CAUSES if cause in found and cause != "idle"]
    return [*known, *sorted(found - set(CAUSES)), "idle"]


def _patch(cause: str) -> Patch:
    colour, hatch = CAUSES.get(cause, UNKNOWN_CAUSE)
    return Patch(
        facecolor=colour, hatch=hatch, edgecolor="white", linewidth=0.3,
        label=cause.replace("pe_", "PE_").replace("_", " "),
    )  # fmt: skip
