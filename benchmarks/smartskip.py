"""SmartSkip's published speedups and ours: `python -m benchmarks.smartskip [FOLDER]`.

Prints what `spusim validate smartskip_figure resnet50_gains` does, then what seeds change, where
the cycles go, and how far each choice moves the fit; writes the figures to FOLDER (default
out/smartskip).
"""

import benchmarks.one_core  # noqa: F401 - before numpy

# isort: split
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from spusim.experiments.smartskip import ENGINE, NetworkGain, curve, network_gain
from spusim.experiments.tables import print_parts
from spusim.experiments.validation.catalogue import run_studies
from spusim.experiments.validation.sheets import study_sheets
from spusim.experiments.validation.smartskip import NETWORKS, gain_of
from spusim.experiments.validation.write import write_studies
from spusim.machine.conv_engine import ConvEngine

OUTPUT = Path("out/smartskip")
STUDIES = ("smartskip_figure", "resnet50_gains")
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


def seed_table() -> Table:
    """Lay out the networks' gains over seeds."""
    table = Table(title="ResNet-50, by seed of the masks", title_justify="left")
    for name in ("network", *map(str, SEEDS)):
        table.add_column(name, justify="left" if name == "network" else "right")
    for name in NETWORKS:
        table.add_row(name, *(f"{network_gain(name, seed=seed).ours:.3f}" for seed in SEEDS))
    return table


def layer_table(gain: NetworkGain) -> Table:
    """Lay out where a network's cycles go, by kind of layer."""
    table = Table(title=f"{gain.profile}, by kind of layer", title_justify="left")
    for name in ("layers", "dense cycles", "cycles", "gain", "ideal", "PEs busy", "feeder busy"):
        table.add_column(name, justify="left" if name == "layers" else "right")
    for kind, found in gain.kinds.items():
        table.add_row(
            kind, f"{found.dense:,}", f"{found.sparse:,}", f"{found.gain:.2f}",
            f"{found.ideal:.2f}", f"{found.pes_busy:.0%}", f"{found.feeder_busy:.0%}",
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
    studies = list(run_studies(STUDIES))
    for study in studies:
        print_parts(console, study_sheets(study))
    console.print(seed_table())
    console.print(*(layer_table(gain_of(name)) for name in NETWORKS))
    console.print(varied_table())
    write_studies(studies, folder)
    console.print(f"saved in {folder}")


if __name__ == "__main__":
    main()
