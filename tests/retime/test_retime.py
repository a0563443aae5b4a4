"""Re-timing: whatever the architecture, what comes out is what a full run gives."""

import pickle
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from compiler_networks import NetworkBuilder, arch_of
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import GraphBuilder
from result_differences import differences

import spusim
from spusim import api, machine
from spusim.api.speedup import dense_arch
from spusim.arch import Arch, load_arch
from spusim.compiler import CompileError, compile_network
from spusim.formats import outline
from spusim.machine import (
    MachineError,
    Recording,
    RecordingError,
    read_recording,
    recording_bytes,
    unskipped_cycles,
)
from spusim.network.records import Network, Stream
from spusim.program import NO_OPERAND
from spusim.result import RunResult

POINTS: dict[str, tuple[str, ...]] = {
    "as recorded": (),
    "one core": ("cores=1",),
    "three cores": ("cores=3",),
    "one PE": ("core.pes=1", "core.accumulators=256"),
    "PEs": ("core.pes=4", "core.data_memory.banks=4"),
    "lanes": ("core.lanes=1",),
    "queue": ("core.queue.depth=1",),
    "release": ("core.queue.depth=2", "core.queue.release=done"),
    "scanner": ("core.scanner.width=1",),
    "decoder": ("core.decoder.entries_per_cycle=1",),
    "hazard": ("core.hazard=stall", "core.pipeline.mac_stages=5"),
    "shared": ("core.ports=shared",),
    "shared, hazard": ("core.ports=shared", "core.hazard=stall"),
    "shared, dense": ("core.ports=shared", "core.sparse.activations=dense"),
    "gate": ("core.sparse.activations=gate",),
    "dense": ("core.sparse.weights=dense", "core.sparse.activations=dense",
              "core.sparse.format=dense"),
    "decompress": ("core.sparse.weights=decompress",),
    "bitmap": ("core.sparse.format=bitmap",),
    "auto": ("core.sparse.format=auto",),
    "banks": ("core.data_memory.banks=8",),
    "wide words": ("core.data_memory.word_bits=128",),
    "narrow words": ("core.data_memory.word_bits=32",),
    "few accumulators": ("core.accumulators=8",),
    "column tiles": ("core.scanner.buffer_words=4",),
    "column tiles by index": ("core.index_memory.words=2",),
    "own weight memories": ("core.weight_memory.words=4096",),
    "contexts": ("core.sequencer.contexts=1",),
    "pipelines": ("core.pipeline.vector_stages=1", "core.vector.lanes=2"),
    "link": ("link.host_cycles_per_word=1", "link.hop_cycles=5"),
    "slow clock": ("clock_mhz=10",),
}  # fmt: skip
STARTS = (0, 3, 7)
FRAMES = 9


def build(seed: int) -> tuple[Network, Stream]:
    """Return a network with every type of layer, and files of three lengths for it."""
    builder = NetworkBuilder(seed, 5 + seed % 8)
    builder.lstm(8 + 4 * (seed % 2)).linear(12, requant="channel").activation("relu")
    builder.linear(9, requant="tensor").activation("sigmoid").lstm(6)
    builder.pool(("mean", "max", "last")[seed % 3]).linear(5, biased=False)
    frames = builder.frames(FRAMES, density=(0.3, 0.7, 0.0, 1.0)[seed % 4])
    return builder.build(), Stream(frames, STARTS, ("a", "b", "c"))


@lru_cache
def recorded(seed: int = 1) -> tuple[Network, Stream, Recording]:
    """Return a network, a stream, and their recording on the default machine."""
    network, stream = build(seed)
    return network, stream, api.record_values(network, arch_of("cores=2"), stream)


def both(
    network: Network, stream: Stream, recording: Recording, arch: Arch, **options: Any
) -> tuple[RunResult, RunResult]:
    """Run in full, and time again."""
    full = api.simulate(network, arch, stream, **options)
    return full, api.retime(network, arch, recording, stream=stream, **options)


@pytest.mark.parametrize("period", [None, 40, 4000])
@pytest.mark.parametrize("point", POINTS)
def test_every_field_is_that_of_a_full_run(point: str, period: int | None) -> None:
    network, stream, recording = recorded()
    arch = arch_of("cores=2", *POINTS[point])
    full, again = both(network, stream, recording, arch, input_period=period, baseline=True)
    assert full.outputs.any()
    assert differences(full, again) == []


@pytest.mark.parametrize("preset", ["spu001", "spu001_dense", "row64", "eie64", "tiny"])
def test_the_keyword_spotter_is_timed_again_on_every_preset(preset: str) -> None:
    network, stream, recording = spotter()
    room = ["core.data_memory.words=8192", "core.sequencer.threads=64", "link.channels=8",
            "core.instruction_memory.words=4096", "core.sequencer.descriptors=64"]  # fmt: skip
    arch = load_arch(preset, room if preset == "tiny" else [])
    full, again = both(network, stream, recording, arch, baseline=True)
    assert differences(full, again) == []


@lru_cache
def spotter() -> tuple[Network, Stream, Recording]:
    """Return the keyword spotter, two short files of its stream, and their recording."""
    network = api.load_network("kws")
    whole = api.load_stream("kws", network)
    stream = replace(whole, frames=whole.frames[:12], starts=(0, 5), names=("a", "b"), labels=())
    return network, stream, api.record_values(network, load_arch("spu001"), stream)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 11),
    cores=st.integers(1, 3),
    pes=st.sampled_from([1, 2, 4]),
    depth=st.integers(1, 5),
    width=st.sampled_from([1, 2, 4, 8]),
    activations=st.sampled_from(["skip", "gate", "dense"]),
    weights=st.sampled_from(["skip", "decompress"]),
    form=st.sampled_from(["bitmap", "pencil", "dense"]),
    ports=st.sampled_from(["reserved", "shared"]),
    hazard=st.sampled_from(["bypass", "stall"]),
    period=st.sampled_from([None, 1, 300]),
)
def test_random_networks_on_random_machines(
    seed: int, cores: int, pes: int, depth: int, width: int, activations: str, weights: str,
    form: str, ports: str, hazard: str, period: int | None,
) -> None:  # fmt: skip
    network, stream, recording = recorded(seed)
    arch = arch_of(
        f"cores={cores}", f"core.pes={pes}", f"core.queue.depth={depth}", "core.accumulators=128",
        "core.data_memory.banks=8", f"core.scanner.width={width}", f"core.sparse.format={form}",
        f"core.sparse.activations={activations}", f"core.sparse.weights={weights}",
        f"core.ports={ports}", f"core.hazard={hazard}",
    )  # fmt: skip
    full, again = both(network, stream, recording, arch, input_period=period)
    assert differences(full, again) == []


@pytest.mark.parametrize("settings_", [(), ("cores=1",), ("core.scanner.buffer_words=4",),
                                       ("core.data_memory.word_bits=32",)])  # fmt: skip
def test_a_recording_is_the_same_wherever_it_was_made(settings_: tuple[str, ...]) -> None:
    network, stream, recording = recorded()
    elsewhere = api.record_values(network, arch_of(*settings_), stream)
    assert recording_bytes(elsewhere) == recording_bytes(recording)


def test_a_recording_holds_the_nonzeros_of_its_first_operand() -> None:
    network, stream, recording = recorded()
    first = recording.patterns["lstm0"]
    flags = np.unpackbits(first.bits, axis=1, count=len(first.known), bitorder="little")
    size = network.input.size
    assert flags[:, :size].tolist() == (stream.frames != 0).astype(int).tolist()
    # the hidden state is zero when a file begins, and hardly ever later
    assert not flags[list(STARTS), size:].any()
    assert flags[1, size:].any()


def test_a_recording_survives_files_and_pickles() -> None:
    network, stream, recording = recorded()
    for copy in (read_recording(recording_bytes(recording)), pickle.loads(pickle.dumps(recording))):
        arch = arch_of("cores=2")
        assert differences(*both(network, stream, copy, arch)) == []
    bits = sum(p.bits.size for p in recording.patterns.values())
    assert recording.nbytes == bits + recording.outputs.size * 8


@pytest.mark.parametrize("spoil", [lambda b: b[:-200], lambda b: b"", lambda b: b"PK" + b[9:]])
def test_damaged_bytes_are_no_recording(spoil: Any) -> None:
    with pytest.raises(RecordingError, match="no recording, or a damaged one"):
        read_recording(spoil(recording_bytes(recorded()[2])))


def test_a_recording_of_another_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = recording_bytes(recorded()[2])
    monkeypatch.setattr("spusim.machine.recording.FORMAT", 5)
    with pytest.raises(RecordingError, match="has format 4, and this version reads 5"):
        read_recording(data)


def test_recordings_of_something_else_are_refused() -> None:
    network, stream, recording = recorded()
    other = build(2)[0]
    arch = arch_of("cores=2")
    with pytest.raises(RecordingError, match="its network has hash"):
        api.retime(other, arch, recording)
    with pytest.raises(RecordingError, match="its stream has hash"):
        moved = replace(stream, frames=stream.frames[::-1].copy())
        api.retime(network, arch, recording, stream=moved)
    with pytest.raises(RecordingError, match="its stream has hash"):
        api.retime(network, arch, recording, stream=replace(stream, starts=(0, 3, 6)))
    for setting in ("accumulator_bits=40", "overflow=wrap", "rounding=floor",
                    "requantize_overflow=wrap", "table_address_bits=7",
                    "table_interpolate=false"):  # fmt: skip
        with pytest.raises(RecordingError, match="its numerics has hash"):
            api.retime(network, arch_of(f"numerics.{setting}"), recording)


def test_what_does_not_fit_is_refused_as_by_a_full_run() -> None:
    network, stream, recording = recorded()
    arch = arch_of("core.data_memory.words=20")
    with pytest.raises(spusim.SpusimError) as full:
        api.simulate(network, arch, stream)
    with pytest.raises(type(full.value)) as again:
        api.retime(network, arch, recording)
    assert str(again.value) == str(full.value)


def test_an_outlined_program_is_not_computed() -> None:
    network, stream, _ = recorded()
    arch = arch_of()
    program = compile_network(network, arch, pack=outline)
    with pytest.raises(MachineError, match="was outlined"):
        machine.run(program, arch, stream.frames, stream.starts)


def test_a_matrix_of_no_layer_cannot_be_timed_again() -> None:
    network, _, recording = recorded()
    arch = arch_of()
    program = compile_network(network, arch)
    core = program.cores[0]
    nobodys = tuple(replace(matrix, operand=NO_OPERAND) for matrix in core.matrices)
    program = replace(program, cores=(replace(core, matrices=nobodys),))
    with pytest.raises(RecordingError, match="belongs to no product"):
        machine.retime(program, arch, recording)


def test_a_layer_that_was_not_recorded_is_named() -> None:
    network, _, recording = recorded()
    arch = arch_of()
    with pytest.raises(RecordingError, match="product lstm0 is not in the rec"):
        machine.retime(compile_network(network, arch), arch, replace(recording, patterns={}))


@pytest.mark.parametrize("period", [None, 30])
@pytest.mark.parametrize("extra", ["core.ports=reserved", "core.ports=shared", "core.hazard=stall"])
def test_the_dense_twin_takes_the_cycles_of_its_full_run(extra: str, period: int | None) -> None:
    network, stream, _ = recorded()
    dense = dense_arch(arch_of("cores=2", extra))
    program = compile_network(network, dense, check_capacity=False)
    starts = (0, 2, 4, 8)  # two files of one length, others of another
    full = machine.run(program, dense, stream.frames, starts, period)
    twin = unskipped_cycles(program, dense, starts, FRAMES, period)
    assert twin.cycles == full.cycles
    assert twin.engine_cycles == {n: row["engine_cycles"] for n, row in full.layers.items()}


LAYER_POINTS = ("core.queue.depth=1", "cores=2", "core.pes=1", "core.sparse.activations=gate",
                "core.hazard=stall", "core.ports=shared", "core.accumulators=8",
                "core.sparse.format=bitmap", "core.scanner.buffer_words=4")  # fmt: skip


@lru_cache
def layer() -> tuple[np.ndarray, np.ndarray, Recording]:
    """Return a layer's weight and frames, and their recording."""
    weight, frames = api.random_layer(40, 56, 0.3, 0.5, 4, 3, 8, 16)
    return weight, frames, api.record_layer(weight, frames, arch_of(), 8, 16)


@pytest.mark.parametrize("setting", LAYER_POINTS)
def test_a_layer_is_timed_again(setting: str) -> None:
    weight, frames, recording = layer()
    arch = arch_of(setting)
    full = api.simulate_layer(weight, frames, arch, 8, 16, baseline=True)
    again = api.retime_layer(weight, arch, recording, 8, 16, frames=frames, baseline=True)
    assert (full.outputs == frames.astype(np.int64) @ weight.T).all()
    assert differences(full, again) == []


def test_recordings_of_another_layer_are_refused() -> None:
    weight, frames, recording = layer()
    with pytest.raises(RecordingError, match="its network has hash"):
        api.retime_layer(-weight, arch_of(), recording, 8, 16)
    with pytest.raises(RecordingError, match="its network has hash"):
        api.retime_layer(weight, arch_of(), recording, 16, 16)
    with pytest.raises(RecordingError, match="its stream has hash"):
        api.retime_layer(weight, arch_of(), recording, 8, 16, frames=frames[:3])
    with pytest.raises(RecordingError, match="its numerics has hash"):
        api.retime_layer(weight, arch_of("numerics.overflow=wrap"), recording, 8, 16)


EXCUSES = ("copied element by element", ".copy is not in", "since words begin elsewhere")


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 400), st.sampled_from(["cores=1", "cores=3", "core.accumulators=8",
                                             "core.data_memory.word_bits=128"]))  # fmt: skip
def test_any_graph_is_timed_again(seed: int, setting: str) -> None:
    """Products of several windows, with gaps where a machine's words want them."""
    builder = GraphBuilder(seed).grow(3 + seed % 15)
    room = ("core.table_memory.words=65536", "link.channel_words=1000", "core.precisions="
            "{8x16: 1, 8x8: 1, 4x16: 1, 4x8: 1, 16x16: null, 16x8: null}")  # fmt: skip
    network, frames = builder.build(), builder.frames(6)
    stream = Stream(frames, (0, 4), ("a", "b"))
    try:
        recording = api.record_values(network, arch_of(*room), stream)
        full, again = both(network, stream, recording, arch_of(*room, setting))
    except (CompileError, RecordingError) as error:  # copies that one word width needs
        assert (
            "copied element by element" in str(error)
            or ".copy is not in" in str(error)
            or "words" in str(error)
        )
        return
    assert differences(full, again) == []
