"""Use every compiled kernel once: `python -m benchmarks.all_kernels`.

The keyword spotter in full, timed again, traced and under shared ports; single products with
hazards; convolutions in both dataflows. With an empty NUMBA_CACHE_DIR it compiles them all.
"""

from spusim.api import (
    compile_network,
    load_arch,
    load_network,
    load_stream,
    random_layer,
    record_values,
    retime,
    simulate,
    simulate_layer,
)
from spusim.experiments.conv_layers import RandomConv, run_conv
from spusim.frontend import quantise_input
from spusim.machine.trace import TraceRequest, trace_run

FRAMES = "random:density=0.5,frames=2,seed=1"


def main() -> None:
    """Run one small case of each kind."""
    network, arch = load_network("kws"), load_arch("spu001")
    stream = load_stream(FRAMES, network)
    simulate(network, arch, stream, baseline=True)
    simulate(network, load_arch("spu001", ["core.ports=shared"]), stream)
    integers = quantise_input(stream, network)
    trace_run(compile_network(network, arch), arch, integers.frames, request=TraceRequest(0, 500))
    retime(network, arch, record_values(network, arch, stream))
    sizes = (8, 16)
    weight, frames = random_layer(64, 64, 0.3, 0.5, 1, 1, *sizes)
    simulate_layer(weight, frames, load_arch("tiny", ["core.hazard=stall"]), *sizes)
    for preset in ("row64", "smartskip"):
        run_conv(RandomConv(16, 16, 3, 8, 0.3, 0.5), load_arch(preset))


if __name__ == "__main__":
    main()
