"""Timing again with what is kept of other machines gives what a run in full does.

Whatever field of the architecture differs from the machines timed before.
"""

from collections.abc import Callable

import numpy as np
import pytest
from arch_variants import variants
from compiler_networks import NetworkBuilder, arch_of
from result_differences import differences

from spusim.api import record_values, retime, simulate
from spusim.arch import Arch, load_arch
from spusim.errors import SpusimError
from spusim.experiments.conv_layers import RandomConv, record_conv, retime_conv, run_conv
from spusim.machine import RecordingError
from spusim.network.records import Stream
from spusim.result import RunResult

Ways = tuple[Callable[[Arch], RunResult], Callable[[Arch], RunResult]]


def network_ways(base: Arch) -> Ways:
    """Return how a network is run in full, and timed again."""
    builder = NetworkBuilder(3, 21).linear(18).lstm(10).linear(7)
    network, frames = builder.build(), builder.frames(3)
    stream = Stream(frames, (0,), ("a",))
    recording = record_values(network, base, stream)
    return (
        lambda arch: simulate(network, arch, stream, baseline=True),
        lambda arch: retime(network, arch, recording, baseline=True),
    )


def convolution_ways(base: Arch) -> Ways:
    """Return how a convolution is."""
    layer = RandomConv(8, 12, 3, 5, 0.4, 0.6, weight_bits=8, activation_bits=8)
    recording = record_conv(layer, base, baseline=False)[1]
    return (
        lambda arch: run_conv(layer, arch),
        lambda arch: retime_conv(layer, arch, recording),
    )


CASES: dict[str, tuple[Callable[[Arch], Ways], Arch]] = {
    "network": (network_ways, arch_of()),
    "network with private weights": (network_ways, arch_of("core.weight_memory.words=4096")),
    "row": (convolution_ways, load_arch("row64")),
    "pixel": (convolution_ways, load_arch("smartskip")),
}


@pytest.mark.parametrize("case", CASES)
def test_every_field(case: str) -> None:
    """One machine after the other, each as if it were the first."""
    make, base = CASES[case]
    full, again = make(base)
    again(base)
    timed = 0
    for path, arch in variants(base):
        if path == "technology":
            continue  # of another name there is none
        try:
            wanted = full(arch)
        except SpusimError as error:
            # a recording of another arithmetic may be refused before the machine is
            kinds = (RecordingError,) if path.startswith("numerics.") else ()
            with pytest.raises((type(error), *kinds)):
                again(arch)
            continue
        try:
            result = again(arch)
        except RecordingError:
            assert path.startswith("numerics.") or path == "core.dataflow", path
            continue
        assert differences(wanted, result) == [], path
        timed += 1
    assert timed > 80
    assert np.array_equal(full(base).frame_cycles, again(base).frame_cycles)
