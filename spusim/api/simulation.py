"""Networks and layers on an architecture: run, run and recorded, or timed from a recording."""

from pathlib import Path

import numpy as np

from spusim import machine
from spusim.api.identity import (
    HASHES,
    array_hash,
    check_arithmetic,
    check_recording,
    layer_hash,
    numerics_hash,
    stream_hash,
)
from spusim.api.speedup import with_layer_speedup, with_network_speedup
from spusim.arch import Arch
from spusim.compiler import compile_layer, compile_network
from spusim.compiler.reuse import outline_layer, outline_network
from spusim.energy import attach_energy
from spusim.frontend import fqir, quantise_input
from spusim.machine import Recording, pattern, record, run, run_layer
from spusim.network.records import Network, Stream
from spusim.numerics import numerics_of
from spusim.program import Program
from spusim.result import RunResult


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
    return with_network_speedup(
        result, network, arch, integers.starts, len(integers.frames), input_period
    )


def simulate_program(
    program: Program, arch: Arch, stream: Stream, *, input_period: int | None = None
) -> RunResult:
    """Run a compiled program on integer frames; energy attached."""
    result = run(program, arch, stream.frames, stream.starts, input_period)
    return attach_energy(result, arch)


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
    return with_layer_speedup(result, arch, weight, weight_bits, activation_bits, name, codebook)


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
        stream_hash(integers),
        numerics_hash(arch),
        tuple(integers.starts),
        result.outputs,
        patterns,
        order,
    )
    result = attach_energy(result, arch)
    if baseline:
        result = with_network_speedup(
            result, network, arch, integers.starts, len(integers.frames), None
        )
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
    check_arithmetic(recording, arch)
    if stream is not None:
        check_recording(
            recording, "stream", recording.stream, stream_hash(quantise_input(stream, network))
        )
    program = outline_network(network, arch)
    check_recording(recording, "network", recording.network, program.hashes["network"])
    result = attach_energy(machine.retime(program, arch, recording, input_period), arch)
    if not baseline:
        return result
    return with_network_speedup(
        result, network, arch, recording.starts, recording.frames, input_period
    )


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
    check_arithmetic(recording, arch)
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
    return with_layer_speedup(result, arch, *sizes, name, codebook)
