"""`spusim plot`: the figures that fit a folder of results, written with their data."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType

import spusim
from spusim.errors import SpusimError
from spusim.experiments.charts.catalogue import CHARTS, check_names, fitting_charts, make_chart
from spusim.experiments.charts.records import Chart
from spusim.experiments.quantities import count
from spusim.experiments.results import Results
from spusim.experiments.store import OutputError, check_place, write_files
from spusim.experiments.tables import table

MANIFEST_NAME = "figures.json"
MANIFEST_VERSION = 1
FOLDER_NAME = "figures"  # inside the results, where no other is named
KINDS = ("png", "svg", "csv")
LEAST_DPI, MOST_DPI = 50, 1200


class PlotError(SpusimError):
    """Results that nothing can be drawn of."""


@dataclass(frozen=True)
class Plan:
    """Charts to draw by name, and why the others are not drawn."""

    charts: dict[str, Chart]
    reasons: dict[str, str]


def check_dpi(dpi: float) -> None:
    """Raise PlotError unless a resolution makes an image that can be read and stored."""
    if not LEAST_DPI <= dpi <= MOST_DPI:
        raise PlotError(f"--dpi (={dpi:g}) must be from {LEAST_DPI} to {MOST_DPI}")


def plan_figures(results: Results, names: Sequence[str] = ()) -> Plan:
    """Return the charts of those names, else all that fit.

    Raises ChartError for a name that there is none of, UnfitError for one that does not fit,
    PlotError where nothing is there to draw.
    """
    check_names(names)
    if not results.done.height:
        raise PlotError(f"{results.path}: {_nothing(results)}")
    if names:
        return Plan({name: make_chart(results, name) for name in names}, {})
    charts, reasons = fitting_charts(results)
    if not charts:
        told = "\n".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise PlotError(f"{results.path}: no figure fits\n{told}")
    return Plan(charts, reasons)


def check_figures(folder: Path, names: Sequence[str]) -> None:
    """Raise OutputError if a figure cannot be written, or would overwrite a file of others."""
    check_place(folder)
    ours = set(_manifest(folder).get("files", ()))
    for name in names:
        for kind in KINDS:
            file = f"{name}.{kind}"
            if (folder / file).exists() and file not in ours:
                raise OutputError(
                    f"{folder / file}: is there already, and was not drawn by `spusim plot`; move "
                    "it, or choose another folder with -o"
                )


def write_figures(
    results: Results, charts: Mapping[str, Chart], folder: Path, dpi: float | None = None
) -> list[Path]:
    """Draw charts and write them: PNG, SVG, CSV each, and figures.json. Return the paths.

    The same results give the same bytes. Raises OutputError.
    """
    # matplotlib takes long to import, and only drawing needs it
    from spusim.experiments.figures.draw import chart_files

    check_figures(folder, list(charts))
    files = {
        name: data for chart in charts.values() for name, data in chart_files(chart, dpi).items()
    }
    told = _manifest(folder)
    told = {
        "schema_version": MANIFEST_VERSION,
        "figures": {
            **told.get("figures", {}),
            **{name: _told(results, chart) for name, chart in charts.items()},
        },
        "files": sorted({*told.get("files", ()), *files}),
    }
    text = json.dumps(told, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return write_files(folder, {**files, MANIFEST_NAME: text.encode()}, last=MANIFEST_NAME)


def missing_text(results: Results) -> str:
    """Return how many points are missing from the figures, or nothing."""
    planned = sum(part["points"] for part in results.sweep["parts"])
    failed = results.table.height - results.done.height
    absent = planned - results.table.height
    told = [f"{failed:,} failed"] * bool(failed) + [f"{absent:,} not computed yet"] * (absent > 0)
    if not told:
        return ""
    return f"{results.done.height:,} of {count(planned, 'point')} drawn: {', '.join(told)}"


def figure_list(results: Results) -> Iterator[RenderableType]:
    """Yield a table of all figures: what each shows, and whether it fits these results."""
    charts, reasons = fitting_charts(results) if results.done.height else ({}, {})
    nothing = "" if results.done.height else _nothing(results)
    rows = [
        [name, "yes" if name in charts else "no", reasons.get(name, nothing) or kind.about]
        for name, kind in CHARTS.items()
    ]
    yield table(f"Figures of {results.name}", ["figure", "fits", "shows, or needs"], rows, texts=3)


def _told(results: Results, chart: Chart) -> dict[str, Any]:
    return {
        "title": chart.title,
        "of": results.name,
        "description": results.description,
        "versions": results.versions,
        "drawn_by": f"spusim {spusim.__version__}",
        "notes": list(chart.notes),
    }


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        told = json.loads((folder / MANIFEST_NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) and "files" in told else {}


def _nothing(results: Results) -> str:
    failed = results.table["error"].drop_nulls().to_list()
    if failed:
        first = failed[0].splitlines()[0]
        return f"has no finished point, {len(failed)} failed, the first with: {first}"
    return "has no finished point yet; run the sweep again, it goes on where it stopped"
