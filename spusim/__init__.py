"""spusim: a cycle-accurate, bit-exact simulator of sparse processing units."""

from spusim.api import (
    compile_layer,
    compile_network,
    load_arch,
    load_network,
    load_stream,
    random_layer,
    simulate,
    simulate_layer,
    simulate_program,
)
from spusim.errors import SpusimError

__version__ = "0.1.0"

__all__ = [
    "SpusimError",
    "__version__",
    "compile_layer",
    "compile_network",
    "load_arch",
    "load_network",
    "load_stream",
    "random_layer",
    "simulate",
    "simulate_layer",
    "simulate_program",
]
