"""`spusim plot`."""

from pathlib import Path
from typing import Annotated

import typer

from spusim.experiments.tables import make_console, print_parts


def plot(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="What `spusim sweep -o` or `spusim run -o` has written."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Figures; default: DIR/figures."),
    ] = None,
    figure: Annotated[
        list[str] | None,
        typer.Option(
            "--figure", metavar="NAME,...", help="Only these; default: all that fit the data."
        ),
    ] = None,
    list_figures: Annotated[
        bool, typer.Option("--list", help="Tell which figures fit, and draw nothing.")
    ] = False,
    dpi: Annotated[float, typer.Option("--dpi", help="Resolution of the PNG files.")] = 200,
) -> None:
    """Draw all the figures that fit a sweep's or a run's results: PNG, SVG and CSV each."""
    # polars takes long to import, and other commands do not need it
    from spusim.experiments import plot as plots
    from spusim.experiments.charts.source import open_results

    plots.check_dpi(dpi)
    results = open_results(folder)
    if list_figures:
        print_parts(make_console(), plots.figure_list(results))
        return
    names = [name.strip() for text in figure or () for name in text.split(",") if name.strip()]
    plan = plots.plan_figures(results, list(dict.fromkeys(names)))
    place = output or folder / plots.FOLDER_NAME
    plots.check_figures(place, list(plan.charts))
    if lacking := plots.missing_text(results):
        typer.echo(lacking, err=True)
    written = plots.write_figures(results, plan.charts, place, dpi)
    drawn = [path.name for path in written if path.suffix == ".png"]
    typer.echo(f"written to {place}, each with .svg and .csv: {', '.join(drawn)}")
