"""SmartSkip's published speedups and ours: `python -m benchmarks.smartskip [FOLDER]`.

Prints the figure's points, the networks' gains, and how far each choice moves them; writes
smartskip_fit.png, .svg and .csv to FOLDER (default out/smartskip).
"""

import benchmarks.one_core  # noqa: F401 - before numpy

# isort: split
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from spusim.experiments.charts.smartskip import smartskip_fit
from spusim.experiments.figures.draw import chart_files
from spusim.experiments.smartskip import (
    CURVE_CHANNELS,
    ENGINE,
    CurvePoint,
    NetworkGain,
    curve,
    network_gain,
    speedup,
)
from spusim.machine.conv_engine import ConvEngine

OUTPUT = Path("out/smartskip")
NETWORKS = ("resnet50_pruned_70", "resnet50_pruned_83")
OTHER_CHANNELS = (64, 128, 512)
REDUCTIONS = (2, 4, 6, 8, 10)
SEEDS = (0, 1, 2, 3, 4)
# name -> settings: each fitted number a step up and down, then what was assumed
VARIED: dict[str, dict[str, object]] = {
    "as fitted": {},
    "32 PEs": {"pes": 32}, "128 PEs": {"pes": 128},
    "128 PEs, queue depth 8": {"pes": 128, "queue_depth": 8},
    "queue depth 2": {"queue_depth": 2}, "queue depth 4": {"queue_depth": 4},
    "1 word fetched a cycle": {"feeder_words": 1}, "4 words fetched a cycle": {"feeder_words": 4},
    "8 lanes": {"lanes": 8}, "32 lanes": {"lanes": 32},
    "512 accumulators a buffer": {"accumulators": 512},
    "2048 accumulators a buffer": {"accumulators": 2048},
    "release: pop": {"release": "pop"},
}  # fmt: skip


def curve_table(points: list[CurvePoint]) -> Table:
    """Lay out the figure's points."""
    table = Table(title="3 x 3, 256 channels, 256 filters", title_justify="left")
    for name in ("reduction", "published", "ours", "error"):
        table.add_column(name, justify="right")
    for point in points:
        table.add_row(
            f"{point.reduction:g}", f"{point.published:.2f}", f"{point.ours:.2f}",
            f"{point.error:+.1%}",
        )  # fmt: skip
    return table


def network_table(gains: dict[str, list[NetworkGain]], plain: dict[str, NetworkGain]) -> Table:
    """Lay out the networks' gains: mean and spread over seeds, and with plain random masks."""
    table = Table(title="ResNet-50 at 224 x 224", title_justify="left")
    for name in ("network", "ideal", "published", "ours", "error", "seeds", "plain random masks"):
        table.add_column(name, justify="left" if name == "network" else "right")
    for name, found in gains.items():
        ours = [gain.ours for gain in found]
        mean = sum(ours) / len(ours)
        table.add_row(
            name, f"{found[0].published_ideal:.2f}", f"{found[0].published:.2f}", f"{mean:.2f}",
            f"{mean / found[0].published - 1:+.1%}", f"{min(ours):.3f} to {max(ours):.3f}",
            f"{plain[name].ours:.2f}",
        )  # fmt: skip
    return table


def layer_table(gain: NetworkGain) -> Table:
    """Lay out where a network's cycles go, by kind of layer."""
    kinds: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for layer in gain.layers:
        stage = layer.name.partition(".")[0]
        shape = layer.shape
        kind = f"{stage} {shape.kernel_height} x {shape.kernel_width}"
        pes = layer.sparse.pe_stalls.sum(axis=0)
        sums = kinds[kind]
        sums[0] += layer.dense.cycles
        sums[1] += layer.sparse.cycles
        sums[2] += shape.dense_macs / (layer.ideal * shape.dense_macs) * layer.dense.cycles
        sums[3] += layer.sparse.cycles * pes[1] / pes.sum()
        sums[4] += int(layer.sparse.feeder_stalls[1])
    table = Table(title=f"{gain.profile}, by kind of layer", title_justify="left")
    for name in ("layers", "dense cycles", "cycles", "gain", "ideal", "PEs busy", "feeder busy"):
        table.add_column(name, justify="left" if name == "layers" else "right")
    for kind, (dense, sparse, ideal, busy, fed) in kinds.items():
        table.add_row(
            kind, f"{dense:,.0f}", f"{sparse:,.0f}", f"{dense / sparse:.2f}",
            f"{dense / ideal:.2f}", f"{busy / sparse:.0%}", f"{fed / sparse:.0%}",
        )  # fmt: skip
    return table


def varied_table() -> Table:
    """Lay out what each choice does to the fit."""
    table = Table(title="One choice changed at a time", title_justify="left")
    for name in ("engine", "largest error of the figure", "70", "83"):
        table.add_column(name, justify="left" if name == "engine" else "right")
    for name, settings in VARIED.items():
        engine: ConvEngine = replace(ENGINE, **settings)  # type: ignore[arg-type]
        worst = max((point.error for point in curve(engine)), key=abs)
        gains = [network_gain(network, engine) for network in NETWORKS]
        table.add_row(
            name, f"{worst:+.1%}", *(f"{gain.ours:.2f} ({gain.error:+.1%})" for gain in gains)
        )
    return table


def main() -> None:
    """Measure, print and save."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    console = Console(width=None)
    points = curve()
    console.print(curve_table(points))
    gains = {name: [network_gain(name, seed=seed) for seed in SEEDS] for name in NETWORKS}
    plain = {name: network_gain(name, structured=False) for name in NETWORKS}
    console.print(network_table(gains, plain))
    console.print(*(layer_table(found[0]) for found in gains.values()))
    console.print(varied_table())
    ours = {CURVE_CHANNELS: [(point.reduction, point.ours) for point in points]}
    for channels in OTHER_CHANNELS:
        ours[channels] = [(r, speedup(channels, r)) for r in REDUCTIONS]
    chart = smartskip_fit(
        [(point.reduction, point.published) for point in points],
        ours,
        {name: (found[0].published, found[0].ours) for name, found in gains.items()},
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in chart_files(chart).items():
        (folder / name).write_bytes(content)
    console.print(f"saved in {folder}")


if __name__ == "__main__":
    main()
