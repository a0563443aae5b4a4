"""What `import spusim` offers: a network, an architecture and a stream in; a RunResult out."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spusim import machine
from spusim.arch import Arch, load_arch
from spusim.arch.reuse import OfArch
from spusim.compiler import compile_layer, compile_network
from spusim.compiler.reuse import outline_layer, outline_network
from spusim.energy import attach_energy
from spusim.formats.codes import BINARY_BITS, ENTRIES, TERNARY_BITS
from spusim.frontend import fqir, load_network, load_stream, quantise_input
from spusim.frontend import prune_checkpoint as prune
from spusim.frontend import quantise_file as quantize
from spusim.machine import (
    Recording,
    RecordingError,
    Unskipped,
    pattern,
    record,
    run,
    run_layer,
    unskipped_cycles,
    unskipped_layer_cycles,
)
from spusim.network.records import Convolution, Network, Product, Stream
from spusim.numerics import numerics_of
from spusim.numerics.contents import KeptByContent
from spusim.program import Program
from spusim.result import RunResult

__all__ = [
    "compile_layer",
    "compile_network",
    "load_arch",
    "load_network",
    "load_plan",
    "load_stream",
    "prune",
    "quantize",
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

# of weights and frames of lone layers, which every point of a sweep brings along
HASHES: KeptByContent[str] = KeptByContent(128 << 20)


def load_plan(path: str | Path, arch: Arch | None = None) -> Network:
    """Return the network of an FQIR plan, for `simulate`; its outputs are the plan's, bit for bit.

    arch: refuse a plan whose sums this one's arithmetic might change. Raises PlanError.
    """
    return fqir.load_plan(path, numerics_of(arch.numerics) if arch else None)


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
    return _with_speedup(result, network, arch, integers.starts, len(integers.frames), input_period)


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
    codebook: Sequence[int] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Draw weight (outputs, inputs) and activations (frames, inputs) int32.

    Exactly round(density x size) nonzeros in the weights and in each frame, positions without
    replacement, values uniform over the nonzero codes, all from default_rng(seed). Weights of one
    and two bits are 1 and -1 where they are not zero, those with a codebook its entries.
    """
    rng = np.random.default_rng(seed)
    size, bits = inputs * outputs, 1 if weight_bits == TERNARY_BITS else weight_bits
    weight = random_codes(rng, size, weight_density, bits, codebook).reshape(outputs, inputs)
    rows = [random_codes(rng, inputs, activation_density, activation_bits) for _ in range(frames)]
    return weight, np.stack(rows)


def random_codebook(bits: int, seed: int) -> tuple[int, ...]:
    """Draw 16 entries of `bits`: 0, the largest, and 14 other codes, from default_rng(seed)."""
    half = 1 << (bits - 1)
    rng = np.random.default_rng(seed)
    codes = rng.choice(2 * half - 2, ENTRIES - 2, replace=False) - half
    return (0, *(codes + (codes >= 0)).tolist(), half - 1)


def simulate_layer(
    weight: np.ndarray,
    frames: np.ndarray,
    arch: Arch,
    weight_bits: int,
    activation_bits: int,
    *,
    baseline: bool = False,
    name: str = "layer",
    codebook: tuple[int, ...] = (),
) -> RunResult:
    """Run one matrix-vector layer alone: weight (outputs, inputs), frames (frames, inputs) int.

    It starts with operands in place and ends at the last accumulator write; outputs are the raw
    accumulators. baseline: as in `simulate`. codebook: the entries that the weights are, stored
    as indices of 4 bits.
    """
    program = compile_layer(
        weight, weight_bits, activation_bits, arch, name=name, codebook=codebook
    )
    result = attach_energy(run_layer(program, arch, frames), arch)
    if not baseline:
        return result
    return _with_layer_speedup(result, arch, weight, weight_bits, activation_bits, name, codebook)


def record_values(network: Network, arch: Arch, stream: Stream) -> Recording:
    """Run a stream through a network, and keep what every architecture of this arithmetic shares.

    Of the architecture only `numerics:` matters, and that the network fits it. The recording has
    a bit for each activation of each frame, and the outputs (`Recording.nbytes`).
    """
    return simulate_recorded(network, arch, stream)[1]


def simulate_recorded(
    network: Network, arch: Arch, stream: Stream, *, baseline: bool = False
) -> tuple[RunResult, Recording]:
    """Return `simulate`'s result, and the recording from which other architectures are timed.

    Raises RecordingError for a network whose operands cannot be recorded.
    """
    integers = quantise_input(stream, network)
    program = compile_network(network, arch)
    result, patterns, order = record(program, arch, integers.frames, integers.starts)
    recording = Recording(
        network.name,
        program.hashes["network"],
        _stream_hash(integers),
        numerics_hash(arch),
        tuple(integers.starts),
        result.outputs,
        patterns,
        order,
    )
    result = attach_energy(result, arch)
    if baseline:
        result = _with_speedup(result, network, arch, integers.starts, len(integers.frames), None)
    return result, recording


def retime(
    network: Network,
    arch: Arch,
    recording: Recording,
    *,
    stream: Stream | None = None,
    input_period: int | None = None,
    baseline: bool = False,
) -> RunResult:
    """Return what `simulate` would for the recording's stream, without computing a value.

    stream: if given, checked to be the recording's. Raises RecordingError for a recording of
    another network, stream or arithmetic, and SpusimError subclasses as `simulate` does.
    """
    _check_arithmetic(recording, arch)
    if stream is not None:
        check_recording(
            recording, "stream", recording.stream, _stream_hash(quantise_input(stream, network))
        )
    program = outline_network(network, arch)
    check_recording(recording, "network", recording.network, program.hashes["network"])
    result = attach_energy(machine.retime(program, arch, recording, input_period), arch)
    if not baseline:
        return result
    return _with_speedup(result, network, arch, recording.starts, recording.frames, input_period)


def record_layer(
    weight: np.ndarray,
    frames: np.ndarray,
    arch: Arch,
    weight_bits: int,
    activation_bits: int,
    *,
    name: str = "layer",
    codebook: tuple[int, ...] = (),
) -> Recording:
    """Run one layer as `simulate_layer` does, and keep what every architecture shares."""
    sizes = (weight_bits, activation_bits)
    return simulate_layer_recorded(weight, frames, arch, *sizes, name=name, codebook=codebook)[1]


def simulate_layer_recorded(
    weight: np.ndarray,
    frames: np.ndarray,
    arch: Arch,
    weight_bits: int,
    activation_bits: int,
    *,
    baseline: bool = False,
    name: str = "layer",
    codebook: tuple[int, ...] = (),
) -> tuple[RunResult, Recording]:
    """Return `simulate_layer`'s result, and the recording as `record_layer` makes it."""
    sizes = (weight_bits, activation_bits)
    result = simulate_layer(
        weight, frames, arch, *sizes, baseline=baseline, name=name, codebook=codebook
    )
    recording = Recording(
        name,
        layer_hash(weight, *sizes, codebook),
        array_hash(frames),
        numerics_hash(arch),
        (0,),
        result.outputs,
        {name: pattern(frames)},
    )
    return result, recording


def retime_layer(
    weight: np.ndarray,
    arch: Arch,
    recording: Recording,
    weight_bits: int,
    activation_bits: int,
    *,
    frames: np.ndarray | None = None,
    baseline: bool = False,
    name: str = "layer",
    codebook: tuple[int, ...] = (),
) -> RunResult:
    """Return what `simulate_layer` would for the recording's frames, without computing a value.

    frames: if given, checked to be the recording's. Raises RecordingError as `retime` does.
    """
    _check_arithmetic(recording, arch)
    hashed = layer_hash(weight, weight_bits, activation_bits, codebook)
    check_recording(recording, "network", recording.network, hashed)
    if frames is not None:
        asked = HASHES.of_array(frames, lambda: array_hash(frames))
        check_recording(recording, "stream", recording.stream, asked)
    sizes = (weight, weight_bits, activation_bits)
    program = outline_layer(*sizes, arch, hashed=hashed, name=name, codebook=codebook)
    result = attach_energy(machine.retime_layer(program, arch, recording), arch)
    if not baseline:
        return result
    return _with_layer_speedup(result, arch, *sizes, name, codebook)


def _check_arithmetic(recording: Recording, arch: Arch) -> None:
    check_recording(recording, "numerics", recording.numerics, numerics_hash(arch))


def check_recording(recording: Recording, what: str, recorded: str, asked: str) -> None:
    """Raise RecordingError if a recording is of something else than what is asked for."""
    if recorded != asked:
        raise RecordingError(
            f"recording of {recording.name}: its {what} has hash {recorded[:12]}, the one asked "
            f"for {asked[:12]}; record again with this {what}"
        )


def numerics_hash(arch: Arch) -> str:
    """Return the hash of an architecture's arithmetic, on which a recording's values depend."""
    return _NUMERICS_HASH(arch)


def _hash_numerics(arch: Arch) -> str:
    return hashlib.sha256(arch.numerics.model_dump_json().encode()).hexdigest()


_NUMERICS_HASH = OfArch(_hash_numerics)


def _stream_hash(stream: Stream) -> str:
    """Return the hash of an integer stream's frames and where its files begin."""
    starts = np.array(stream.starts, np.int64)
    return hashlib.sha256((array_hash(stream.frames) + array_hash(starts)).encode()).hexdigest()


def layer_hash(
    weight: np.ndarray, weight_bits: int, activation_bits: int, codebook: tuple[int, ...]
) -> str:
    """Return the hash of a layer's weights, of any shape, and what they are stored as."""
    hashed = HASHES.of_array(weight, lambda: array_hash(weight))
    told = f"{weight_bits}x{activation_bits}:{hashed}"
    told += f":{codebook}" if codebook else ""
    return hashlib.sha256(told.encode()).hexdigest()


def array_hash(array: np.ndarray) -> str:
    """Return the SHA-256 of an integer array's shape and values, whatever their width."""
    narrow = next(t for t in ("<i1", "<i2", "<i4", "<i8") if _fits(array, np.dtype(t)))
    digest = hashlib.sha256(f"{array.shape}{narrow}".encode())
    digest.update(np.ascontiguousarray(array, narrow).data)
    return digest.hexdigest()


def _fits(array: np.ndarray, dtype: np.dtype[Any]) -> bool:
    info = np.iinfo(dtype)
    return not array.size or bool(array.min() >= info.min and array.max() <= info.max)


def dense_arch(arch: Arch) -> Arch:
    """Return the same machine with weights and activations `dense`: nothing skipped."""
    settings = {"weights": "dense", "activations": "dense", "format": "dense"}
    sparse = arch.core.sparse.model_copy(
        update={**settings, "formats": tuple({*arch.core.sparse.formats, "dense"})}
    )
    return arch.model_copy(update={"core": arch.core.model_copy(update={"sparse": sparse})})


def unpruned(weight: np.ndarray, weight_bits: int) -> np.ndarray:
    """Return weights as a machine that stores all of them times them.

    One bit has no zero: where binary weights were pruned there is a weight again, here 1.
    """
    return np.where(weight == 0, 1, weight) if weight_bits == BINARY_BITS else weight


def unpruned_network(network: Network) -> Network:
    """Return a network whose binary weights are all there, to time its dense twin by."""
    nodes = tuple(
        replace(node, weight=unpruned(node.weight, node.weight_bits))
        if isinstance(node, Product | Convolution) and node.weight_bits == BINARY_BITS
        else node
        for node in network.nodes
    )
    same = all(a is b for a, b in zip(nodes, network.nodes, strict=True))
    return network if same else replace(network, nodes=nodes)


def _with_speedup(
    result: RunResult,
    network: Network,
    arch: Arch,
    starts: Sequence[int],
    frames: int,
    input_period: int | None,
) -> RunResult:
    dense = dense_arch(arch)
    whole = unpruned_network(network)
    hashed = result.versions["network"] if whole is network else None
    program = outline_network(whole, dense, check_capacity=False, hashed=hashed)
    twin = unskipped_cycles(program, dense, starts, frames, input_period)
    return with_speedup(result, arch, twin)


def _with_layer_speedup(
    result: RunResult,
    arch: Arch,
    weight: np.ndarray,
    weight_bits: int,
    activation_bits: int,
    name: str,
    codebook: tuple[int, ...],
) -> RunResult:
    dense = dense_arch(arch)
    whole = unpruned(weight, weight_bits)
    program = outline_layer(
        whole, weight_bits, activation_bits, dense, check_capacity=False, name=name,
        codebook=codebook, hashed=layer_hash(whole, weight_bits, activation_bits, codebook),
    )  # fmt: skip
    return with_speedup(result, arch, unskipped_layer_cycles(program, dense, result.frames))


def with_speedup(result: RunResult, arch: Arch, twin: Unskipped) -> RunResult:
    """Add achieved (whole-run cycles) and ideal (MACs left by the skipped sides) speedup.

    Layers get `dense_engine_cycles`, what their engines take with nothing skipped.
    """
    achieved = twin.cycles / result.cycles if result.cycles else 1.0
    layers = {
        name: {**layer, "dense_engine_cycles": twin.engine_cycles[name]}
        for name, layer in result.layers.items()
    }
    speedup = {"achieved": achieved, "ideal": ideal_speedup(result, arch)}
    return replace(result, speedup=speedup, layers=layers)


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


def random_codes(
    rng: np.random.Generator, size: int, density: float, bits: int, codebook: Sequence[int] = ()
) -> np.ndarray:
    """Draw `size` codes of `bits` or of a codebook, exactly round(density x size) nonzero."""
    values = np.zeros(size, np.int32)
    count = round(density * size)
    where = rng.choice(size, count, replace=False)
    if len(codebook):
        entries = np.array([entry for entry in codebook if entry])
        values[where] = entries[rng.integers(0, len(entries), count)]
        return values
    half = 1 << (bits - 1)
    codes = rng.integers(-half, max(half - 1, 1), count)
    values[where] = codes + (codes >= 0)  # leaves zero out
    return values
