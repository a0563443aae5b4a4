"""What ships: presets, networks, runs, sweeps, streams and technologies, with descriptions."""

from spusim.arch import list_archs, load_arch
from spusim.energy import list_technologies, load_technology
from spusim.experiments.baseline import find_baseline, list_baselines, read_baseline
from spusim.experiments.runs import list_runs, load_run
from spusim.experiments.sweep.file import list_sweeps, load_sweep
from spusim.frontend import list_networks, list_streams
from spusim.frontend.topology_file import load_topology


def catalogue() -> dict[str, dict[str, str]]:
    """Return kind -> name -> description, sorted by name."""
    return {
        "architectures": {name: load_arch(name).description for name in list_archs()},
        "networks": {
            name: load_topology(path).description for name, path in list_networks().items()
        },
        "runs": {name: load_run(name).description for name in list_runs()},
        "sweeps": {name: load_sweep(name).description for name in list_sweeps()},
        "streams": dict(sorted(list_streams().items())),
        "baselines": {
            name: read_baseline(find_baseline(name)).description for name in list_baselines()
        },
        "technologies": {name: load_technology(name).description for name in list_technologies()},
    }
