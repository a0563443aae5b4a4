"""Run SCALE-Sim on layer.csv with its own interpreter; print what it took as one line of JSON.

Started by `benchmarks.peers` in the environment that `make peer` sets up, where spusim is not
installed; the first argument is a folder for its reports, the second, if any, another layer. Traces
are not saved, which would take longer than the run.
"""

import csv
import json
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

from scalesim.scale_sim import scalesim

HERE = Path(__file__).resolve().parent


def main(folder: Path, topology: Path = HERE / "layer.csv") -> None:
    """Run the layer, and tell seconds, cycles and peak memory."""
    began = time.perf_counter(), time.process_time()
    simulation = scalesim(
        save_disk_space=True,
        verbose=False,
        config=str(HERE / "scalesim.cfg"),
        topology=str(topology),
        layout=str(HERE / "layout.csv"),
    )
    simulation.run_scale(top_path=str(folder))
    seconds, used = time.perf_counter() - began[0], time.process_time() - began[1]
    with (folder / "peer" / "COMPUTE_REPORT.csv").open(newline="") as file:
        (row,) = csv.DictReader(file, skipinitialspace=True)
    told = {
        "version": version("scalesim"),
        "numpy": version("numpy"),
        "seconds": seconds,
        "processor_seconds": used,
        "cycles": int(float(row["Total Cycles"])),
        "stall_cycles": int(float(row["Stall Cycles"])),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
