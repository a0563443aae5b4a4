"""What `import spusim` offers: a network, an architecture and a stream in; a RunResult out."""

from dataclasses import replace

import numpy as np

from spusim.arch import Arch, load_arch
from spusim.compiler import compile_layer, compile_network
from spusim.energy import attach_energy
from spusim.frontend import load_network, load_stream, quantise_input
from spusim.machine import run, run_layer
from spusim.network.records import Network, Stream
from spusim.program import Program
from spusim.result import RunResult

__all__ = [
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


def simulate(
    network: Network,
    arch: Arch,
    stream: Stream,
    *,
    input_period: int | None = None,
    baseline: bool = False,
) -> RunResult:
    """Run a stream (frames, features), float or int, through a network on an architecture.

    input_period: cycles between frames; None posts each frame when the last one's output has left.
    baseline: also run the same machine with nothing skipped, for `result.speedup`.
    Raises SpusimError subclasses for what does not fit or does not match.
    """
    integers = quantise_input(stream, network)
    program = compile_network(network, arch)
    result = simulate_program(program, arch, integers, input_period=input_period)
    if not baseline:
        return result
    dense = dense_arch(arch)
    slow_program = compile_network(network, dense, check_capacity=False)
    slow = run(slow_program, dense, integers.frames, integers.starts, input_period)
    return with_speedup(result, arch, slow)


def simulate_program(
    program: Program, arch: Arch, stream: Stream, *, input_period: int | None = None
) -> RunResult:
    """Run a compiled program on integer frames; energy attached."""
    result = run(program, arch, stream.frames, stream.starts, input_period)
    return attach_energy(result, arch)


def random_layer(
    inputs: int,
    outputs: int,
    weight_density: float,
    activation_density: float,
    frames: int,
    seed: int,
    weight_bits: int,
    activation_bits: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw weight (outputs, inputs) and activations (frames, inputs) int32.

    Exactly round(density x size) nonzeros in the weights and in each frame, positions without
    replacement, values uniform over the nonzero codes, all from default_rng(seed).
    """
    rng = np.random.default_rng(seed)
    weight = _sparse(rng, inputs * outputs, weight_density, weight_bits).reshape(outputs, inputs)
    rows = [_sparse(rng, inputs, activation_density, activation_bits) for _ in range(frames)]
    return weight, np.stack(rows)


def simulate_layer(
    weight: np.ndarray,
    frames: np.ndarray,
    arch: Arch,
    weight_bits: int,
    activation_bits: int,
    *,
    baseline: bool = False,
    name: str = "layer",
) -> RunResult:
    """Run one matrix-vector layer alone: weight (outputs, inputs), frames (frames, inputs) int.

    It starts with operands in place and ends at the last accumulator write; outputs are the raw
    accumulators. baseline: as in `simulate`.
    """
    program = compile_layer(weight, weight_bits, activation_bits, arch, name=name)
    result = attach_energy(run_layer(program, arch, frames), arch)
    if not baseline:
        return result
    dense = dense_arch(arch)
    slow = compile_layer(
        weight, weight_bits, activation_bits, dense, check_capacity=False, name=name
    )
    return with_speedup(result, arch, run_layer(slow, dense, frames))


def dense_arch(arch: Arch) -> Arch:
    """Return the same machine with weights and activations `dense`: nothing skipped."""
    settings = {"weights": "dense", "activations": "dense", "format": "dense"}
    sparse = arch.core.sparse.model_copy(
        update={**settings, "formats": tuple({*arch.core.sparse.formats, "dense"})}
    )
    return arch.model_copy(update={"core": arch.core.model_copy(update={"sparse": sparse})})


def with_speedup(result: RunResult, arch: Arch, dense: RunResult) -> RunResult:
    """Add achieved (whole-run cycles) and ideal (MACs left by the skipped sides) speedup.

    Layers get `dense_engine_cycles`, what their engines take with nothing skipped.
    """
    achieved = dense.cycles / result.cycles if result.cycles else 1.0
    slow = {name: layer["engine_cycles"] for name, layer in dense.layers.items()}
    layers = {
        name: {**layer, "dense_engine_cycles": slow[name]} for name, layer in result.layers.items()
    }
    return replace(
        result,
        speedup={"achieved": achieved, "ideal": ideal_speedup(result, arch)},
        layers=layers,
    )


def ideal_speedup(result: RunResult, arch: Arch) -> float:
    """Dense MACs over those left by the sides that are skipped; elements, never padding."""
    skipped = (arch.core.sparse.weights == "skip", arch.core.sparse.activations == "skip")
    left = result.macs[MACS_LEFT[skipped]]
    return result.macs["dense"] / left if left else float("inf")


MACS_LEFT = {
    (True, True): "effective",
    (True, False): "weight_nonzero",
    (False, True): "activation_nonzero",
    (False, False): "dense",
}


def _sparse(rng: np.random.Generator, size: int, density: float, bits: int) -> np.ndarray:
    """`size` codes of `bits`, exactly round(density * size) of them nonzero."""
    values = np.zeros(size, np.int32)
    count = round(density * size)
    where = rng.choice(size, count, replace=False)
    codes = rng.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1, count)
    values[where] = codes + (codes >= 0)  # leaves zero out
    return values
