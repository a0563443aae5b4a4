"""What does not fit is refused with numbers, and with a remedy that works."""

import re
from dataclasses import replace

import numpy as np
import pytest
from compiler_networks import NetworkBuilder, arch_of

from spusim.arch import Arch, load_arch
from spusim.compiler import CompileError, compile_network
from spusim.network.records import (
    Cut,
    Head,
    Join,
    Network,
    Node,
    Product,
    Quantum,
    Requant,
    Shift,
    Tensor,
)


def linear_network(
    rows: int, columns: int, zeros: float, weight_bits: int = 8, bits: int = 16
) -> Network:
    """One Linear whose pencils of four rows are dropped evenly: a share of `zeros`."""
    pencils = np.arange(rows // 4 * columns).reshape(rows // 4, columns)
    kept = (pencils * 37 % 100) >= 100 * zeros
    weight = np.repeat(kept, 4, axis=0).astype(int) * 3
    quantum = Quantum(bits, -10)
    requant = Requant(np.array([1]), np.array([8]))
    head = Head(0, Tensor("fc", rows, quantum), requant)
    product = Product("fc", "fc", "input", weight, weight_bits, None, (head,))
    return Network("net", Tensor("input", columns, quantum), (), (product,), "fc")


def refusal(network: Network, arch: Arch) -> str:
    """Return the message with which the compiler refuses."""
    with pytest.raises(CompileError) as caught:
        compile_network(network, arch)
    return str(caught.value)


SMALL = arch_of("core.data_memory.words=512")


def test_data_memory_remedy_is_true() -> None:
    """Pruned as told the layer fits; four percent less and it still does not."""
    message = refusal(linear_network(128, 100, 0.2), SMALL)
    assert message.startswith("tiny: core 0 needs 10.84 KB of 8.00 KB data memory: prune layer fc")
    zeros = int(re.search(r"to (\d+) % zeros", message).group(1)) / 100
    compile_network(linear_network(128, 100, zeros), SMALL)
    assert "zeros" in refusal(linear_network(128, 100, zeros - 0.04), SMALL)


def test_narrower_weights_are_offered_where_they_fit() -> None:
    """4-bit weights are a remedy, and compile."""
    message = refusal(linear_network(128, 100, 0.2), SMALL)
    assert message.endswith("or use 4-bit weights")
    compile_network(linear_network(128, 100, 0.2, weight_bits=4), SMALL)


def test_narrower_weights_are_not_offered_where_lanes_lack_them() -> None:
    """A remedy that the lanes cannot compute is none."""
    arch = arch_of("core.data_memory.words=512", "core.precisions={8x16: 1, 4x16: null}")
    message = refusal(linear_network(128, 100, 0.2), arch)
    assert "prune layer fc" in message and "4-bit" not in message


def test_private_weight_memory() -> None:
    """The weight memory is named when that is where weights are."""
    arch = arch_of("core.weight_memory={words: 200, word_bits: 64}")
    message = refusal(linear_network(128, 100, 0.2), arch)
    assert "of 3.12 KB weight memory" in message and "prune" in message


def test_nothing_helps_but_another_machine() -> None:
    """No remedy is invented where neither pruning nor width is enough."""
    arch = arch_of("core.data_memory.words=14", "core.sparse.weights=dense")
    assert "use more cores than 1, a larger memory" in refusal(linear_network(64, 40, 0.9), arch)


def test_unchecked_capacity_compiles() -> None:
    """The dense baseline of a network may be larger than the memory."""
    program = compile_network(linear_network(128, 100, 0.2), SMALL, check_capacity=False)
    assert program.cores[0].matrices[0].packed.rows == 128


KEYWORD = NetworkBuilder(1, 10).lstm(21).linear(16).activation("relu").linear(12).build()

REFUSALS = [
    (("core.instruction_memory.words=20",), "needs 31 instructions, and has 20"),
    (("core.sequencer.threads=3", "cores=2"), "needs 5 threads, and has 3"),
    (("core.sequencer.descriptors=2",), "needs 3 matrix descriptors, and has 2"),
    (("core.table_memory.words=600",), "needs 771 words of table memory for 3 tables, and has 600"),
    (("core.index_memory.words=1", "core.scanner.width=16"), "core.index_memory.words (=1)"),
    (("core.scanner.buffer_words=2", "core.scanner.width=3"), "core.scanner.buffer_words (=2)"),
    (("link.channels=2", "cores=2"), "link.channels (=2); set link.channels=3"),
    (("link.channel_words=2",), "a frame of 10 inputs takes 3 words of a channel"),
    (("link.channel_words=3", "cores=5", "core.sparse.pencil=16"), "core 0's part of lstm0"),
    (("core.accumulators=4", "core.sparse.pencil=3"), "hold 6 of them; give each PE 6"),
]


@pytest.mark.parametrize(("arch_settings", "words"), REFUSALS)
def test_refusals_give_the_numbers(arch_settings: tuple[str, ...], words: str) -> None:
    """Each limit is refused by name, with what is needed and what is there."""
    message = refusal(KEYWORD, arch_of(*arch_settings))
    assert words in message and message.startswith("tiny: ")


def test_resident_index_memory() -> None:
    """Resident pointers of all matrices must fit together."""
    arch = arch_of(
        "core.weight_memory={words: 4096, word_bits: 64}",
        "core.index_memory={words: 16, word_bits: 64, mode: resident}",
    )
    assert "words of index memory in each PE, and has 16" in refusal(KEYWORD, arch)


def test_precision_names_those_there_are() -> None:
    """What the lanes cannot compute is refused whatever the capacity check."""
    arch = load_arch("spu001")
    with pytest.raises(CompileError, match=r"fc needs 4x16 .* compute 8x16, 8x8, 4x8; quantise"):
        compile_network(linear_network(64, 40, 0.5, weight_bits=4), arch, check_capacity=False)


def test_frames_beyond_a_message() -> None:
    """What one message cannot carry is refused, however large the channel."""
    wide = linear_network(4, 70000 * 4, 0.5)
    arch = arch_of("link.channel_words=100000")
    with pytest.raises(CompileError, match="takes 70000 words, and a message has 4095"):
        compile_network(wide, arch, check_capacity=False)


def test_entries_a_word_are_noted() -> None:
    """Wider weights than the preset was made for are said."""
    program = compile_network(linear_network(64, 40, 0.5), load_arch("eie64"), check_capacity=False)
    assert (
        "layer fc: a 64-bit word packs 5 entries of 8-bit weights (run_length), where eie64 was "
        "made for 8 of 4 bits" in program.notes
    )


def test_automatic_format_is_noted() -> None:
    """The smallest format is chosen, and said."""
    program = compile_network(linear_network(64, 40, 0.9), arch_of("core.sparse.format=auto"))
    assert any(note.startswith("layer fc: format pencil is the smallest") for note in program.notes)
    dense = compile_network(linear_network(64, 40, 0.0), arch_of("core.sparse.format=auto"))
    assert dense.cores[0].matrices[0].packed.layout.format == "dense"


def test_vectors_beyond_addresses() -> None:
    """Vectors that 16-bit addresses do not reach are refused, capacity checked or not."""
    builder = NetworkBuilder(1, 10).linear(12000, density=0.01)
    for _ in range(25):  # states: nothing else may have their words
        builder.pool("max")
    arch = arch_of("core.accumulators=8192")
    with pytest.raises(
        CompileError, match=r"core 0 needs 78003 words .* 16-bit addresses reach 65536"
    ):
        compile_network(builder.build(), arch, check_capacity=False)


def test_large_memories_are_told_in_megabytes() -> None:
    """The numbers are bytes of a core's memory: 8 banks of 8192 words of 8 bytes."""
    message = refusal(linear_network(1024, 1024, 0.0), load_arch("spu001", ["cores=1"]))
    found = re.search(r"spu001: core 0 needs (\d\.\d\d) MB of 0\.50 MB data memory: prune", message)
    assert found and 1.0 < float(found.group(1)) < 1.05


def test_messages_that_wait_together_must_fit_together() -> None:
    """Hidden state and output of a part are two messages of 3 words in one channel."""
    network = NetworkBuilder(1, 4).lstm(21).activation("relu").linear(8).build()
    message = refusal(network, arch_of("cores=2", "link.channel_words=5"))
    assert "core 0's part of lstm0, relu1 takes 6 words of a channel" in message
    assert compile_network(network, arch_of("cores=2", "link.channel_words=6")).cores


def pixels_joined(count: int) -> Network:
    """Return pixels of three channels, each followed by half of it."""
    x = Tensor("input", 3 * count, Quantum(16, -8))
    nodes: list[Node] = [Shift("half", "half", "input", replace(x, name="half"), 1)]
    for source in ("input", "half"):
        for pixel in range(count):
            part = Tensor(f"{source}.{pixel}", 3, x.quantum)
            nodes.append(Cut(part.name, source, source, 3 * pixel, part))
    parts = tuple(f"{source}.{pixel}" for pixel in range(count) for source in ("input", "half"))
    nodes.append(Join("both", "both", parts, Tensor("both", 6 * count, x.quantum)))
    return Network("net", x, (), tuple(nodes), "both")


def test_a_copied_input_is_named_as_the_user_names_it() -> None:
    """Cuts within words make the compiler copy the frame, under a name that nobody gave it."""
    message = refusal(pixels_joined(12), arch_of("cores=2", "link.channel_words=9"))
    assert message.startswith("tiny: core 0's part of input, half takes 24 words of a channel")
