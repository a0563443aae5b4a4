"""The schedule of a core that streams, for people: what each layer moves, and what that hides.

Cycles of the dma are those of T55 and T56. Those of computation are estimates, what they would be
if no activation were zero; a run says what they are. So what is told as not hidden is the least.
Of planar images they are those of the weights' beats alone, and a feeder that is slower (T45) only
hides more: there what is told as not hidden is the most.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil

from spusim.arch import Arch
from spusim.formats import column_counts, stored_words
from spusim.isa import Instruction, Isa, decode_all
from spusim.program import PLANAR, CoreImage

NAMES = ("stream", "compute")  # of the threads
MOVED = {"xld": "loaded", "xst": "stored", "fetch": "fetched"}


@dataclass
class LayerMoves:
    """What a layer's stages move and cost; `waits`: cycles that the dma takes longer."""

    layer: str
    stages: int = 0
    words: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MOVED.values(), 0))
    dma: int = 0
    compute: int = 0
    waits: int = 0

    def add(self, other: "LayerMoves") -> None:
        """Add another's numbers."""
        self.stages += other.stages
        self.dma += other.dma
        self.compute += other.compute
        self.waits += other.waits
        for kind in self.words:
            self.words[kind] += other.words[kind]


@dataclass(frozen=True)
class _Code:
    """A core's instructions with what is needed to tell what they cost."""

    image: CoreImage
    arch: Arch
    instructions: Sequence[Instruction]

    def thread(self, name: str) -> list[list[int]]:
        """Return the indices of a thread's instructions, a list for each run up to a yield."""
        index = next(thread.entry for thread in self.image.threads if thread.name == name)
        parts: list[list[int]] = [[]]
        while self.instructions[index].mnemonic != "end":
            if self.instructions[index].mnemonic == "yield":
                parts.append([])
            else:
                parts[-1].append(index)
            index += 1
        return parts

    def words(self, index: int) -> int:
        """Return the words that an instruction of the dma moves."""
        each = self.instructions[index]
        if each.mnemonic == "fetch":
            packed = self.image.matrices[each.operands["m"]].packed
            return stored_words(packed, self.arch.core.data_memory.word_bits)
        transfer = self.image.transfers[each.operands["t"]]
        return transfer.words * transfer.runs

    def dma_cycles(self, index: int) -> int:
        """Return the cycles of an instruction of the dma that waits for nobody (T55, T56)."""
        memory, data = self.arch.external_memory, self.arch.core.data_memory
        assert memory is not None
        words = self.words(index)
        port = -(-words // data.banks)
        each = self.instructions[index]
        if each.mnemonic == "fetch":
            packed = self.image.matrices[each.operands["m"]].packed
            port = max(map(len, (*packed.slices, *packed.indices)))
        moved = ceil(words * data.word_bits // 8 / memory.bandwidth)
        return 1 + memory.latency_cycles + max(moved, port)

    def compute_cycles(self, indices: Sequence[int]) -> int:
        """Return the cycles of instructions if no activation is zero, but for start and end."""
        core, total, length = self.arch.core, 0, 0
        for index in indices:
            each = self.instructions[index]
            length = each.operands.get("len", length)
            if each.mnemonic == "pool":
                window = self.image.windows[each.operands["w"]]
                outputs = window.rows * window.shape(window.channels).out_width
                planes = window.channels if window.layout == PLANAR else 1
                outputs *= window.channels // planes
                total += planes * -(-outputs // core.vector.lanes) * window.places
            elif "m" in each.operands:
                total += self._product(each)
            elif "d" in each.operands and each.mnemonic != "recv":
                total += -(-length // core.vector.lanes)
        return total

    def _product(self, each: Instruction) -> int:
        matrix, core = self.image.matrices[each.operands["m"]], self.arch.core
        width = core.lanes * core.macs_per_lane(matrix.precision)
        counts = column_counts(matrix.packed, min(core.decoder.entries_per_cycle, width))
        costs = int(counts.beats.clip(1).sum(axis=0).max())
        if "w" not in each.operands:
            return costs
        window = self.image.windows[each.operands["w"]]
        positions = window.rows * window.shape(matrix.packed.rows).out_width
        if window.layout == PLANAR:  # every weight at a group of positions (T46)
            return int(counts.entries.sum(axis=0).max()) * -(-positions // width)
        return costs * positions


def streams(image: CoreImage) -> bool:
    """Tell whether a core's program is one of two threads that hand each other buffers."""
    return {*NAMES} <= {thread.name for thread in image.threads} and bool(image.transfers)


def layer_moves(isa: Isa, image: CoreImage, arch: Arch) -> list[LayerMoves]:
    """Return what each layer moves, in order; what comes before the first and after the last too.

    image: one that `streams`, for an architecture with external memory.
    """
    code = _Code(image, arch, decode_all(isa, image.code))
    found: dict[str, LayerMoves] = {}
    for moves in _stages(code):
        found.setdefault(moves.layer, LayerMoves(moves.layer)).add(moves)
    return list(found.values())


def _stages(code: _Code) -> Iterator[LayerMoves]:
    """Yield the numbers of every stage."""
    stream, compute = code.thread("stream"), code.thread("compute")
    first = next(n for n, index in enumerate(stream[0]) if _is_post(code, index))
    yield _moves(code, "before the first", stream[0][:first], [])
    parts = [stream[0][first:], *stream[1:-1]]
    for beside, work in zip(parts, compute, strict=True):
        layer = code.image.comments[beside[0]].split(": ", 1)[1]
        moves = _moves(code, layer, beside[1:], work)
        moves.stages = 1
        yield moves
    yield _moves(code, "after the last", stream[-1][:-1], [])


def _is_post(code: _Code, index: int) -> bool:
    return code.instructions[index].mnemonic == "post"


def _moves(code: _Code, layer: str, beside: Sequence[int], work: Sequence[int]) -> LayerMoves:
    moves = LayerMoves(layer)
    for index in beside:
        moves.words[MOVED[code.instructions[index].mnemonic]] += code.words(index)
        moves.dma += code.dma_cycles(index)
    moves.compute = code.compute_cycles(work)
    moves.waits = max(0, moves.dma - moves.compute)
    return moves
