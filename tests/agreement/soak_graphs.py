"""Random graphs of integer operations on random machines: every format, width and way to store.

What the compiler refuses with a reason is drawn again.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from mode_networks import ModeNetwork
from random_graphs import GraphBuilder
from soak_images import drawn, one_of

from spusim.arch import Arch, load_arch
from spusim.compiler import CompileError, compile_network
from spusim.errors import SpusimError
from spusim.network import Network, Node, Product, check_network

ROOM = (
    "core.sparse.formats=[dense, bitmap, run_length, pencil, block, n_of_m]", "link.channels=16",
    "core.sequencer.descriptors=256", "core.instruction_memory.words=65536",
    "core.sequencer.threads=64", "core.index_memory.words=16384",
    "core.table_memory={words: 32768, banks: 2}", "link.channel_words=4096",
    "core.decoder.codebooks=16", "core.accumulators=256",
)  # fmt: skip
CHOICES: dict[str, tuple[Any, ...]] = {
    "cores": (1, 1, 2, 3),
    "core.lanes": (1, 2, 3, 8),
    "core.queue.depth": (1, 2, 3, 8),
    "core.queue.release": ("pop", "done"),
    "core.scanner.width": (1, 3, 4, 16),
    "core.scanner.buffer_words": (3, 64),
    "core.decoder.entries_per_cycle": (1, 2, 8),
    "core.data_memory.word_bits": (32, 64, 64, 128),
    "core.index_memory.word_bits": (32, 64),
    "core.sparse.pencil": (2, 4, 8),
    "core.sparse.block": ("{rows: 2, columns: 1}", "{rows: 3, columns: 5}"),
    "core.sparse.n_of_m": ("{kept: 4, group: 4}", "{kept: 2, group: 2}"),
    "core.sparse.index_bits": (2, 4),
    "core.sparse.activations": ("skip", "skip", "gate", "dense"),
    "core.ports": ("reserved", "reserved", "shared"),
    "core.hazard": ("bypass", "stall"),
    "core.pipeline.mac_stages": (1, 3, 5),
    "core.pipeline.vector_stages": (1, 3),
    "core.sequencer.contexts": (1, 2, 3),
    "core.vector.lanes": (1, 3, 8, 16),
    "link.hop_cycles": (1, 4),
    "link.host_cycles_per_word": (1, 4),
}
PES = (1, 2, 4, 8, 16)
PRIVATE_PES = (1, 2, 3, 7, 12, 17)
FORMS = ("bitmap", "run_length", "pencil", "block", "n_of_m", "auto")
NUMERICS: dict[str, tuple[Any, ...]] = {
    "numerics.overflow": ("saturate", "wrap", "nullify"),
    "numerics.rounding": ("half_up", "half_up", "half_even", "floor", "stochastic"),
    "numerics.requantize_overflow": ("saturate", "saturate", "wrap", "nullify"),
    "numerics.table_interpolate": ("true", "true", "false"),
    "numerics.partial_sums": ("{every: 0}", "{every: 0}", "{every: 5, shift: 3, bits: 14}"),
}
# for accumulators too narrow for 16 x 16
NARROW = "core.precisions={16x16: null, c16x16: null}"
MEMORIES = {
    "bytes_per_cycle": (0.7, 5, 64),
    "latency_cycles": (0, 9),
    "data_port": ("own", "banks"),
}
MOST_NODES = 16


@dataclass(frozen=True)
class GraphCase:
    """A graph from a seed, two machines with one arithmetic, and how frames come.

    nodes: of a graph of everything; 0: a chain of products with zero points.
    """

    seed: int
    nodes: int
    frames: int
    period: int | None
    settings: tuple[str, ...]
    recorder: tuple[str, ...]

    @property
    def starts(self) -> tuple[int, ...]:
        """The first frame of each file."""
        return (0,) if self.frames < 2 else (0, self.frames // 2)

    def network(self) -> tuple[Network, np.ndarray]:
        """Return the network, and its frames."""
        rng = np.random.default_rng(self.seed)
        if self.nodes:
            builder = GraphBuilder(self.seed).grow(self.nodes)
            network = builder.build()
        else:
            builder = ModeNetwork(self.seed)
            network = builder.network
        nodes = tuple(map(partial(stored_otherwise, rng=rng), network.nodes))
        return replace(network, nodes=nodes), builder.frames(self.frames)


def stored_otherwise(node: Node, rng: np.random.Generator) -> Node:
    """Return a product with weights of another width, or with a scale found in every frame."""
    if not isinstance(node, Product):
        return node
    bits = one_of(rng, (8, 8, 16, 4, 2, 1, "codebook"))
    weight = np.asarray(node.weight)
    if bits == "codebook":
        book = (0, *(int(n) for n in rng.permutation(np.arange(1, 120))[: rng.integers(1, 16)]))
        node = replace(node, weight_bits=4, codebook=book)
        node = replace(node, weight=np.asarray(book)[np.abs(weight) % len(book)])
    elif bits in (1, 2):
        node = replace(node, weight_bits=bits, weight=np.sign(weight))
    elif bits == 4:
        node = replace(node, weight_bits=4, weight=weight >> 4)
    elif bits == 16:
        node = replace(node, weight_bits=16, weight=weight * 251)
    if rng.random() < 0.25:
        node = replace(node, bias=None, normalised_bits=one_of(rng, (4, 8, 16)))
    return node


def random_machine(rng: np.random.Generator) -> list[str]:
    """Return settings of a machine without its arithmetic, which `bitmix` becomes."""
    weights = one_of(rng, ("skip", "skip", "decompress", "dense"))
    form = "dense" if weights == "dense" else one_of(rng, FORMS)
    how = [f"core.sparse.weights={weights}", f"core.sparse.format={form}"]
    if rng.random() < 0.5:
        words = f"{{words: 16384, word_bits: {one_of(rng, (32, 64, 128))}}}"
        memory = [f"core.pes={one_of(rng, PRIVATE_PES)}", f"core.weight_memory={words}"]
        memory.append(f"core.index_memory.mode={one_of(rng, ('resident', 'preload'))}")
        banks = one_of(rng, (1, 2, 5, 8, 64))
    else:
        pes = one_of(rng, PES)
        memory = [f"core.pes={pes}", "core.weight_memory=null", "core.index_memory.mode=preload"]
        banks = pes * one_of(rng, (1, 1, 2))
    memory.append(f"core.data_memory={{banks: {banks}, words: {min(8192, 65536 // banks)}}}")
    return [*ROOM, *memory, *drawn(CHOICES, rng), *how]


def random_numerics(rng: np.random.Generator) -> list[str]:
    """Return an arithmetic, of which some accumulators need lanes without wide products."""
    found = drawn(NUMERICS, rng)
    bits = one_of(rng, (24, 32, 32, 40))
    return [*found, f"numerics.accumulator_bits={bits}", *((NARROW,) if bits == 24 else ())]


def outside(settings: list[str], network: Network, rng: np.random.Generator) -> list[str]:
    """Return a machine whose memories hold no more than they must, the rest outside."""
    memory = "".join(f", {pair.replace('=', ': ')}" for pair in drawn(MEMORIES, rng))
    how = [*settings, "cores=1", f"external_memory={{words: 1000000{memory}}}"]
    words = 2
    while words < 65536 // machine_of(settings).core.data_memory.banks:
        found = [*how, f"core.data_memory.words={words}"]
        try:
            compile_network(network, machine_of(found))
        except CompileError:
            words += 1 + words // 4
        else:
            return found
    return settings


def graph_case(seed: int) -> GraphCase:
    """Return a case that compiles."""
    rng = np.random.default_rng(seed)
    while True:
        numerics = random_numerics(rng)
        settings, recorder = ([*random_machine(rng), *numerics] for _ in range(2))
        case = GraphCase(
            int(rng.integers(2**32)), int(rng.integers(0, MOST_NODES)), int(rng.integers(1, 5)),
            one_of(rng, (None, None, int(rng.integers(1, 2000)))), tuple(settings), tuple(recorder),
        )  # fmt: skip
        try:
            network, _ = case.network()
            check_network(network)
            if rng.random() < 0.3:
                case = replace(case, settings=tuple(outside(settings, network, rng)))
            for each in (case.settings, case.recorder):
                compile_network(network, machine_of(each))
        except SpusimError:
            continue
        except Exception:
            return case  # which the comparison meets again, and tells
        return case


def machine_of(settings: tuple[str, ...] | list[str]) -> Arch:
    """Return the machine of a case."""
    return load_arch("bitmix", list(settings))


def smaller_graphs(case: GraphCase) -> list[GraphCase]:
    """Return the case with fewer nodes or frames, without a period, or without one setting."""
    fewer = [replace(case, nodes=nodes) for nodes in range(1, case.nodes)]
    if case.frames > 1:
        fewer.append(replace(case, frames=1))
    if case.period is not None:
        fewer.append(replace(case, period=None))
    names = {setting.partition("=")[0] for setting in case.settings[len(ROOM) :]}
    for name in sorted(name for name in names if not name.startswith("numerics")):
        kept = tuple(s for s in case.settings if s.partition("=")[0] != name or s in ROOM)
        fewer.append(replace(case, settings=kept))
    return fewer
