"""The keyword spotter on the presets: machine, golden and the plain evaluator agree."""

from functools import lru_cache

import numpy as np
import pytest
from integer_reference import TableSettings, evaluate
from programs import complaints, differences

from spusim import golden
from spusim.arch import Arch, load_arch
from spusim.compiler import compile_network
from spusim.frontend import load_network, load_stream, quantise_input
from spusim.machine import run
from spusim.numerics import Numerics

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


def expected(arch: Arch) -> np.ndarray:
    """Return what the evaluator computes with the machine's arithmetic."""
    n = arch.numerics
    numerics = Numerics(n.accumulator_bits, n.overflow, n.rounding, n.requantize_overflow)
    tables = TableSettings(n.table_address_bits, n.table_interpolate)
    network, frames = spotter()
    return np.asarray(evaluate(network, frames, STARTS, numerics, tables))


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
