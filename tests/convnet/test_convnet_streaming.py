"""Networks that do not fit: whatever the memories' sizes, outputs are those of one that does."""

from typing import Any

import numpy as np
import pytest
from convnet_cases import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_reference import evaluate
from test_convnet_machine import networks

from spusim import machine
from spusim.arch import Arch, load_arch
from spusim.compiler import CompileError, compile_network, explain
from spusim.formats import stored_words
from spusim.frontend import load_network, load_stream, quantise_input
from spusim.frontend.quantise import quantise
from spusim.golden import run
from spusim.isa import decode_all, load_isa
from spusim.network import Network, Stream
from spusim.numerics import numerics_of
from spusim.program import Program

OUTSIDE = (
    "external_memory={words: 16777216, bytes_per_cycle: 8, latency_cycles: 20, data_port: own}"
)
SMALL = ("core.data_memory.banks=4", "core.scanner.width=8", "link.channel_words=16")


def arch_of(*how: str) -> Arch:
    """Return `row64` with an external memory."""
    return load_arch("row64", [OUTSIDE, *how])


def mnemonics(program: Program) -> list[str]:
    """Return what core 0 executes."""
    return [each.mnemonic for each in decode_all(load_isa(), program.cores[0].code)]


def checked(network: Network, arch: Arch, stream: Stream) -> Program:
    """Compile, and compare golden (races checked) with the integer reference."""
    codes = quantise_input(stream, network)
    program = compile_network(network, arch)
    expected = evaluate(network, codes.frames, codes.starts, numerics_of(arch.numerics))
    np.testing.assert_array_equal(run(program, codes.frames, codes.starts).outputs, expected)
    return program


def smallest(network: Network, key: str, sizes: list[int], *how: str) -> Arch:
    """Return the first architecture, of sizes that rise, on which a network compiles."""
    for size in sizes:
        arch = arch_of(f"{key}={size}", *how)
        try:
            compile_network(network, arch)
        except CompileError as error:
            assert "words of data memory" in str(error) or "weight memory" in str(error)
            continue
        return arch
    raise AssertionError(f"no {key} of {sizes} is enough")


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    networks(), st.integers(0, 10**6), st.booleans(), st.sampled_from([8, 16]),
    st.sampled_from([1, 2, 3, 8]),
)  # fmt: skip
def test_any_network_in_the_smallest_memory(
    case: tuple[list[dict[str, Any]], tuple[int, int, int]], seed: int, per_channel: bool,
    bits: int, spare: int,
) -> None:  # fmt: skip
    """Rows that do not fill words, padding, strides, dilation, residuals; tiles of one row."""
    found = drawn(*case, seed=seed, frames=2)
    network = quantise(
        found.network, found.stream, per_channel=per_channel, activation_bits=bits, input_bits=bits
    )
    least = smallest(network, "core.data_memory.words", list(range(4, 400)), *SMALL)
    words = least.core.data_memory.words
    arch = arch_of(f"core.data_memory.words={words + spare - 1}", *SMALL)
    checked(network, arch, found.stream)


@pytest.mark.parametrize("words", [16, 18, 20, 24, 32])
def test_tiles_of_any_size(words: int) -> None:
    network = load_network("cnn_small")
    stream = load_stream("noise:frames=2,seed=3", network)
    program = checked(network, arch_of(f"core.data_memory.words={words}"), stream)
    assert "xld" in mnemonics(program) and "xst" in mnemonics(program)
    assert all(address + size <= 64 * words for _, address, size in program.cores[0].symbols)


@pytest.mark.parametrize("words", [65, 70, 80, 90])
def test_weights_take_turns(words: int) -> None:
    """Those of fc alone are 65 words a PE; what is there at once never exceeds the memory."""
    network = load_network("cnn_small")
    arch = arch_of(f"core.weight_memory.words={words}")
    program = checked(network, arch, load_stream("noise:frames=2,seed=3", network))
    matrices = program.cores[0].matrices
    assert any(each.home is not None for each in matrices)
    assert mnemonics(program).count("fetch") == sum(m.home is not None for m in matrices)
    ends = [m.base + max(len(words) for words in m.packed.slices) for m in matrices]
    assert max(ends) <= words


def test_what_fits_is_compiled_as_without_external_memory() -> None:
    network = load_network("cnn_small")
    one, other = (compile_network(network, arch) for arch in (load_arch("row64"), arch_of()))
    np.testing.assert_array_equal(one.cores[0].code, other.cores[0].code)
    assert one.cores[0].symbols == other.cores[0].symbols and other.external_words == 0


def test_machine_equals_golden_where_everything_streams() -> None:
    """And the transfers run beside the computation: the dma's time is not added to the engine's."""
    network = load_network("cnn_small")
    codes = quantise_input(load_stream("noise:frames=2,seed=3", network), network)
    how = ("core.data_memory.words=24", "core.weight_memory.words=80", "link.channel_words=100")
    arch = arch_of(*how)
    program = compile_network(network, arch)
    found = machine.run(program, arch, codes.frames, codes.starts)
    np.testing.assert_array_equal(found.outputs, run(program, codes.frames, codes.starts).outputs)
    slow = arch_of(*how, "external_memory.bytes_per_cycle=0.25")
    bound = machine.run(compile_network(network, slow), slow, codes.frames, codes.starts)
    np.testing.assert_array_equal(bound.outputs, found.outputs)
    roomy = load_arch("row64")
    whole = machine.run(compile_network(network, roomy), roomy, codes.frames, codes.starts)
    np.testing.assert_array_equal(whole.outputs, found.outputs)
    busy = found.stalls["core0.dma"]["busy"]
    assert whole.cycles < found.cycles < bound.cycles
    assert found.cycles < whole.cycles + busy


WHOLE = {
    "resnet18": ("core.data_memory.words=160", "core.index_memory.words=8192"),
    "mobilenet_v2": ("core.data_memory.words=160", "core.index_memory.words=8192"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_networks_stream(name: str) -> None:
    """Everything at once: the input, tiles, constants, scale entries and weights."""
    network = load_network(
        name, settings=["input.height=64", "input.width=64", "prune.density=0.3"]
    )
    arch = arch_of("link.channel_words=100", *WHOLE[name])
    program = checked(network, arch, load_stream("noise:frames=1,seed=3", network))
    assert program.input.external == 0
    assert {"xld", "xst", "fetch", "yield"} <= set(mnemonics(program))
    assert len(program.cores[0].windows) < 100


REFUSED = {
    ("core.data_memory.words=2",): r"layer \w+ needs \d+ words of data memory at once \(.*set core",
    (
        "core.weight_memory.words=30",
    ): r"layer fc needs 65 words of a PE's weight memory for fc.r0, and "
    r"there are 30 even when all other .*set core.weight_memory.words=65",
    ("core.data_memory.words=24", "external_memory.words=1000"): r"needs 2048 words of external "
    r"memory, and external_memory.words is 1000; set external_memory.words=2048",
    ("core.data_memory.words=24", "numerics.rounding=stochastic"): r"have no stochastic rounding",
}


@pytest.mark.parametrize("how", REFUSED)
def test_what_cannot_be_streamed_is_refused(how: tuple[str, ...]) -> None:
    with pytest.raises(CompileError, match=REFUSED[how]):
        compile_network(load_network("cnn_small"), arch_of(*how))


def test_remedies_work() -> None:
    network = load_network("cnn_small")
    compile_network(network, arch_of("core.weight_memory.words=65"))
    compile_network(network, arch_of("core.data_memory.words=24", "external_memory.words=2048"))


def test_without_external_memory_it_is_named() -> None:
    with pytest.raises(CompileError, match=r"or give it an external_memory to stream"):
        compile_network(load_network("cnn_small"), load_arch("row64", ["core.data_memory.words=8"]))


def table_row(text: str, first: str) -> list[int]:
    """Return the numbers of a line of the schedule."""
    table = text[text.index("schedule of a frame") :]
    line = next(line for line in table.splitlines() if line.strip().startswith(first))
    return [int(word) for word in line.split()[len(first.split()) :]]


def test_the_schedule_is_explained() -> None:
    """Words of every transfer, and cycles as T55 and T56 count them."""
    arch = arch_of("core.data_memory.words=24", "core.weight_memory.words=80")
    program = compile_network(load_network("cnn_small"), arch)
    text = explain(program, arch)
    image = program.cores[0]
    instructions = decode_all(load_isa(), image.code)
    moved = {"xld": 0, "xst": 0, "fetch": 0}
    cycles = 0
    for each in instructions:
        if each.mnemonic in ("xld", "xst"):
            words = image.transfers[each.operands["t"]].words
        elif each.mnemonic == "fetch":
            words = stored_words(image.matrices[each.operands["m"]].packed, 64)
        else:
            continue
        moved[each.mnemonic] += words
        cycles += 1 + 20 + words  # a word a cycle: 8 bytes
    stages, *words, dma, compute, waits = table_row(text, "total")
    assert words == list(moved.values()) and dma == cycles
    assert stages == 1 + sum(i.mnemonic == "yield" for i in instructions) // 2
    assert table_row(text, "conv2")[-1] == 0 and 0 < waits < dma < compute
    fits = compile_network(load_network("cnn_small"), arch_of())
    assert "schedule of a frame" not in explain(fits, arch_of())


@pytest.mark.slow
@pytest.mark.parametrize("arch_name", ["row64_lpddr4", "smartskip"])
def test_resnet50_on_whole_images(arch_name: str) -> None:
    """224 x 224: golden, machine and reference agree, though nothing of it fits."""
    network = load_network("resnet50", settings=["prune.density=0.2"])
    arch = load_arch(arch_name)
    codes = quantise_input(load_stream("noise:frames=1,seed=3", network), network)
    program = compile_network(network, arch)
    expected = evaluate(network, codes.frames, codes.starts, numerics_of(arch.numerics))
    np.testing.assert_array_equal(run(program, codes.frames, codes.starts).outputs, expected)
    found = machine.run(program, arch, codes.frames, codes.starts)
    np.testing.assert_array_equal(found.outputs, expected)
