"""Run the layer of layer.csv on our dense machine; print what it took as one line of JSON."""

import csv
import json
import resource
import sys
import time
from pathlib import Path

from spusim import __version__
from spusim.api import load_arch
from spusim.arch import Arch
from spusim.experiments.conv_layers import RandomConv, run_conv

HERE = Path(__file__).resolve().parent
# row64 with nothing skipped (what speedups are measured against), and the MACs of a 16 x 16 array
PRESET = "row64"
SETTINGS = (
    "core.pes=16", "core.lanes=16", "core.decoder.entries_per_cycle=16",
    "core.weight_memory.word_bits=128", "core.accumulators=8192",
    "core.sparse.weights=dense", "core.sparse.activations=dense", "core.sparse.format=dense",
)  # fmt: skip


def machine() -> Arch:
    """Return our machine."""
    return load_arch(PRESET, list(SETTINGS))


def layer() -> RandomConv:
    """Return the layer of layer.csv: its border is part of the image, which nobody pads."""
    with (HERE / "layer.csv").open(newline="") as file:
        (row,) = csv.DictReader(file, skipinitialspace=True)
    names = ("Channels", "Num Filter", "Filter Height", "IFMAP Height")
    return RandomConv(
        *(int(row[name]) for name in names),
        weight_density=1.0, activation_density=1.0, padding=0,
    )  # fmt: skip


def main() -> None:
    """Run the layer twice, the first time to load kernels; tell the second."""
    arch, shape = machine(), layer()
    run_conv(shape, arch, baseline=False)
    began = time.perf_counter(), time.process_time()
    result = run_conv(shape, arch, baseline=False)
    seconds, used = time.perf_counter() - began[0], time.process_time() - began[1]
    told = {
        "version": __version__,
        "seconds": seconds,
        "processor_seconds": used,
        "cycles": result.cycles,
        "macs": result.macs["dense"],
        "macs_a_cycle": result.peak_macs_per_cycle,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
