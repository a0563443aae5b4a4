"""What `import spusim` offers: a network, an architecture and a stream in; a RunResult out."""

from spusim.api.random_layers import random_codebook, random_layer
from spusim.api.simulation import (
    load_plan,
    record_layer,
    record_values,
    retime,
    retime_layer,
    simulate,
    simulate_layer,
    simulate_layer_recorded,
    simulate_program,
    simulate_recorded,
)
from spusim.arch import load_arch
from spusim.compiler import compile_layer, compile_network
from spusim.frontend import load_network, load_stream
from spusim.frontend import prune_checkpoint as prune
from spusim.frontend import quantise_file as quantize

__all__ = [
    "compile_layer",
    "compile_network",
    "load_arch",
    "load_network",
    "load_plan",
    "load_stream",
    "prune",
    "quantize",
    "random_codebook",
    "random_layer",
    "record_layer",
    "record_values",
    "retime",
    "retime_layer",
    "simulate",
    "simulate_layer",
    "simulate_layer_recorded",
    "simulate_program",
    "simulate_recorded",
]
