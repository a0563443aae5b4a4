"""A machine that runs again: what it was loaded with stays, and what a run left does not."""

import numpy as np
from programs import differences

from spusim.api import compile_network, load_arch, load_network, load_stream
from spusim.frontend import quantise_input
from spusim.machine.load import store_core
from spusim.machine.spu import Spu
from spusim.machine.tape import blank_tape

FRAMES = 6


def _spotter():  # type: ignore[no-untyped-def]
    network, arch = load_network("kws"), load_arch("spu001")
    stream = quantise_input(load_stream("kws", network), network)
    return compile_network(network, arch), arch, stream.frames


def test_a_second_run_is_the_first_on_a_machine_of_its_own() -> None:
    program, arch, frames = _spotter()
    spu = Spu(program, arch)
    first = spu.run(frames[:FRAMES], (0, 2))
    outputs = first.outputs.copy()
    between = spu.run(frames[40:52], (0,))
    assert differences(first, between)
    again = spu.run(frames[:FRAMES], (0, 2))
    fresh = Spu(program, arch).run(frames[:FRAMES], (0, 2))
    assert differences(again, first) == differences(again, fresh) == []
    assert np.array_equal(first.outputs, outputs)


def test_a_run_changes_nothing_of_what_is_stored() -> None:
    program, arch, frames = _spotter()
    spu = Spu(program, arch, taping=blank_tape(FRAMES))
    spu.run(frames[:FRAMES], (0,))
    for image, core in zip(program.cores, spu.cores, strict=True):
        fresh = store_core(image, program, arch).arrays
        for name, array in fresh.items():
            if name not in ("params", "matrices"):  # which know the tape, and are each run's own
                assert np.array_equal(getattr(core.arrays, name), array), name
