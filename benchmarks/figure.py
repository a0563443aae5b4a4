"""The speed table as a figure: how far each figure is from its target."""

from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.rows import Row

MET, MISSED = "#0072b2", "#d55e00"  # told apart by the colour-blind too, and by the labels


def save_figure(rows: list[Row], path: Path) -> None:
    """Draw a bar for each row that has a target: times better (above 1) or worse than it."""
    asked = [row for row in rows if row.margin is not None]
    figure = Figure(figsize=(7.5, 0.42 * len(asked) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    margins = [row.margin or 0.0 for row in asked]
    axes.barh(
        range(len(asked)),
        [margin - 1.0 for margin in margins],
        left=1.0,
        color=[MET if row.met else MISSED for row in asked],
    )
    for k, row in enumerate(asked):
        label = f" {row.measured:.2f} {row.unit} ({row.wanted}) "
        side = "left" if row.met else "right"
        axes.text(max(margins[k], 0.01), k, label, va="center", ha=side, fontsize=8)
    axes.set_yticks(range(len(asked)), [row.name for row in asked], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_xscale("log", base=2)
    axes.set_xlim(min(0.35, 0.5 * min(margins)), 2.5 * max(margins))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("times better than the target")
    figure.savefig(path, dpi=150)
