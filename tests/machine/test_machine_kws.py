"""The keyword spotter on the presets: machine, golden and the plain evaluator agree."""

import importlib.util
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from programs import complaints, differences

from spusim import golden
from spusim.arch import Arch, load_arch
from spusim.compiler import compile_network
from spusim.frontend import load_network, load_stream, quantise_input
from spusim.machine import run

FRAMES, STARTS = 6, (0, 4)
ROOM = ("core.data_memory.words=8192", "core.sequencer.threads=64", "link.channels=8",
        "core.instruction_memory.words=4096", "core.sequencer.descriptors=64")  # fmt: skip
MACHINES = {
    "spu001": ("spu001", ()),
    "row64": ("row64", ()),
    "eie64": ("eie64", ()),
    "tiny": ("tiny", ROOM),
    "three cores": ("tiny", (*ROOM, "cores=3")),
    "shared": ("spu001", ("core.ports=shared",)),
    "stall": ("spu001", ("core.hazard=stall",)),
    "wrap": ("spu001", ("numerics.overflow=wrap", "numerics.rounding=half_even")),
}


@lru_cache(maxsize=1)
def spotter():  # type: ignore[no-untyped-def]
    """Return network and frames."""
    network = load_network("kws")
    return network, quantise_input(load_stream("kws", network), network).frames[:FRAMES]


@lru_cache(maxsize=1)
def evaluator():  # type: ignore[no-untyped-def]
    """Return tests/network/integer_reference.py."""
    path = Path(__file__).parents[1] / "network" / "integer_reference.py"
    spec = importlib.util.spec_from_file_location("machine_integer_reference", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def expected(arch: Arch) -> np.ndarray:
    """Return what the evaluator computes with the machine's arithmetic."""
    n, reference = arch.numerics, evaluator()
    numerics = reference.Numerics(n.accumulator_bits, n.overflow, n.rounding, n.requantize_overflow)
    tables = reference.TableSettings(n.table_address_bits, n.table_interpolate)
    network, frames = spotter()
    return np.asarray(reference.evaluate(network, frames, STARTS, numerics, tables))


@pytest.mark.parametrize("name", MACHINES)
def test_the_keyword_spotter_computes_what_its_network_says(name: str) -> None:
    base, settings = MACHINES[name]
    arch = load_arch(base, list(settings))
    network, frames = spotter()
    program = compile_network(network, arch)
    result = run(program, arch, frames, STARTS)
    assert result.outputs.any()
    assert result.outputs.tolist() == expected(arch).tolist()
    assert golden.run(program, frames, STARTS).outputs.tolist() == result.outputs.tolist()
    assert complaints(result) == []
    backwards = run(program, arch, frames, STARTS, order=range(arch.cores)[::-1])
    assert differences(result, backwards) == []
