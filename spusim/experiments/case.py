"""From a target and options, as the command line takes them, to a run."""

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Iterator

import numpy as np

from spusim.api import load_arch, load_network, load_stream, simulate, simulate_program
from spusim.arch import Arch, arch_hash, list_archs
from spusim.errors import SpusimError
from spusim.experiments.runs import DEFAULT_ARCH, Run, is_network_file, list_runs, load_run
from spusim.frontend import check_stream, clipped_inputs, list_networks, list_streams
from spusim.image import load_program
from spusim.network.records import Network, Quantum, Stream
from spusim.program import Program
from spusim.result import RunResult

# top-level keys of a network file that settings may change; all other settings are for the machine
NETWORK_KEYS = frozenset({"input", "labels", "layers", "prune", "quantise", "weights"})


class CaseError(SpusimError):
    """A target and options that do not go together."""
