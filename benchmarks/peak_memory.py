"""Peak memory of a run of the keyword spotter: `python -m benchmarks.peak_memory FRAMES`, JSON.

`peak` is in MB, `kept` in bytes a frame: the integer stream, and what the result has for a frame.
"""

import dataclasses
import json
import sys

import numpy as np

from benchmarks.machine import peak_bytes
from spusim.api import compile_network, load_arch, load_network, simulate_program
from spusim.network.records import Stream
from spusim.result import RunResult


def kept_bytes(result: RunResult, stream: Stream) -> float:
    """Return the bytes a frame of a stream's integers and of a result's arrays."""
    arrays = [getattr(result, field.name) for field in dataclasses.fields(result)]
    arrays += [stream.frames, *result.frame_counts.values()]
    sizes = [array.size * array.itemsize for array in arrays if isinstance(array, np.ndarray)]
    return sum(sizes) / len(stream.frames)


def main() -> None:
    """Run, and tell the peak."""
    network, arch = load_network("kws"), load_arch("spu001")
    program = compile_network(network, arch)
    width = program.input.elements
    frames = np.random.default_rng(1).integers(-999, 1000, (int(sys.argv[1]), width), np.int16)
    stream = Stream(frames, (0,), ("noise",))
    result = simulate_program(program, arch, stream)
    peak = peak_bytes() / 1e6
    sys.stdout.write(json.dumps({"peak": peak, "kept": kept_bytes(result, stream)}))


if __name__ == "__main__":
    main()
