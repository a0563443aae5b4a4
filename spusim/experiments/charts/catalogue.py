"""All charts by name: what each shows, and how it is made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spusim.errors import SpusimError, nearest
from spusim.experiments.charts.banks import bank_occupancy
from spusim.experiments.charts.breakdown import energy, stalls
from spusim.experiments.charts.compression import formats, structures
from spusim.experiments.charts.dataflows import dataflows
from spusim.experiments.charts.machine import banks_and_words, pes_and_lanes, queue_depth
from spusim.experiments.charts.machines import structures_by_machine
from spusim.experiments.charts.numbers import number_formats
from spusim.experiments.charts.overview import overview
from spusim.experiments.charts.pareto import pareto
from spusim.experiments.charts.records import Chart
from spusim.experiments.charts.roofline import roofline
from spusim.experiments.charts.select import UnfitError
from spusim.experiments.charts.speedup import speedup_vs_sparsity
from spusim.experiments.charts.tradeoffs import tradeoffs
from spusim.experiments.results import Results, ResultsError


class ChartError(SpusimError):
    """A chart that there is none of."""


@dataclass(frozen=True)
class ChartKind:
    """A chart: what it shows, and the function that makes it or raises UnfitError.

    of_axes: it shows what certain axes do; a sweep that none of these fits gets the overview.
    """

    about: str
    make: Callable[[Results], Chart]
    of_axes: bool = False


CHARTS: dict[str, ChartKind] = {
    "speedup_vs_sparsity": ChartKind(
        "achieved and ideal speedup against weight sparsity", speedup_vs_sparsity, True
    ),
    "queue_depth": ChartKind("speedup and utilisation against queue depth", queue_depth, True),
    "pes_and_lanes": ChartKind(
        "cycles, utilisation and area of PEs x lanes at equal MACs", pes_and_lanes, True
    ),
    "banks_and_words": ChartKind(
        "cycles, energy and area against the data memory's banks", banks_and_words, True
    ),
    "formats": ChartKind("bytes and cycles of each sparse format against density", formats, True),
    "structures": ChartKind(
        "cycles, energy, bytes and accuracy of pruning structures at equal density",
        structures,
        True,
    ),
    "structures_by_machine": ChartKind(
        "latency, energy, bytes and noise of pruning structures on every machine",
        structures_by_machine,
        True,
    ),
    "tradeoffs": ChartKind(
        "bytes, speedup and energy of pruning structures over the weights left, by machine",
        tradeoffs,
        True,
    ),
    "number_formats": ChartKind(
        "bytes, cycles, energy and noise of each number format", number_formats, True
    ),
    "dataflows": ChartKind(
        "cycles and speedup of a convolution by dataflow over both densities, with the crossings",
        dataflows,
        True,
    ),
    "energy": ChartKind("energy a frame by term", energy),
    "stalls": ChartKind("what the units of every kind did with their cycles", stalls),
    "bank_occupancy": ChartKind("words used and cycles busy of every bank", bank_occupancy),
    "roofline": ChartKind("MACs a cycle against MACs a byte, under the machine's roof", roofline),
    "pareto": ChartKind(
        "latency against energy, memory, area and accuracy, with the fronts", pareto, True
    ),
    "overview": ChartKind("cycles and energy against the first axis", overview),
}
_LAST_RESORT = "overview"


def check_names(names: Sequence[str]) -> None:
    """Raise ChartError naming the nearest names for one that there is no chart of."""
    for name in names:
        if name not in CHARTS:
            raise ChartError(f"{name}: there is no figure of that name; {nearest(name, CHARTS)}")


def fitting_charts(results: Results) -> tuple[dict[str, Chart], dict[str, str]]:
    """Return name -> chart of all that fit the results, and name -> reason of the others."""
    charts: dict[str, Chart] = {}
    reasons: dict[str, str] = {}
    for name, kind in CHARTS.items():
        try:
            charts[name] = kind.make(results)
        except (UnfitError, ResultsError) as error:  # a lost record costs only what needs it
            reasons[name] = str(error)
    if _LAST_RESORT in charts and any(CHARTS[name].of_axes for name in charts):
        del charts[_LAST_RESORT]
        reasons[_LAST_RESORT] = "other figures show these axes; ask for it by name"
    return charts, reasons


def make_chart(results: Results, name: str) -> Chart:
    """Return one chart. Raises ChartError, and UnfitError naming what it would need."""
    check_names([name])
    try:
        return CHARTS[name].make(results)
    except UnfitError as error:
        raise UnfitError(f"{results.path}: figure {name} {error}") from None
