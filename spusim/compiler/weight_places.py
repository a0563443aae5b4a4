"""Which matrices stay in weight memory, and where those lie that are fetched for every frame.

Times count steps twice: 2 k is step k, 2 k - 1 a step without computation in front of it. A matrix
is fetched beside the step before the one that needs it, so it takes its place from then on; where
there is no room for that, the machine waits for it between the two.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from spusim.arch import Arch
from spusim.compiler.errors import CompileError
from spusim.compiler.first_fit import Span, end_of, first_fit
from spusim.compiler.space import Slicing
from spusim.compiler.storage import StoredMatrix, depth_rows

MOST_AHEAD = 12  # steps that a matrix may be fetched before it is needed


@dataclass(frozen=True)
class Use:
    """When a matrix is needed, first and last step, how often each weight is used, and by what.

    brought: the step in front of which it must be there at the latest, that is beside whose
    forerunner it is fetched; `first`, or an earlier one whose computation hides more.
    """

    first: int
    last: int
    reuse: int
    node: str
    brought: int


@dataclass(frozen=True)
class WeightPlaces:
    """Where each matrix lies in a PE's memories, and what all take of them.

    streamed: matrices that are fetched; alone: those that are while nothing is computed.
    """

    bases: tuple[int, ...]
    index_bases: tuple[int, ...]
    streamed: frozenset[int]
    alone: frozenset[int]
    rows: int
    index_words: int
    brought: tuple[int, ...]


@dataclass(frozen=True)
class _Memory:
    """One of the memories of a PE: what each matrix takes of it, and its size."""

    name: str
    words: tuple[int, ...]
    size: int


def weight_places(
    arch: Arch, tiles: Sequence[StoredMatrix], uses: Sequence[Use], slack: Sequence[float],
    cost: Sequence[float],
) -> WeightPlaces:  # fmt: skip
    """Keep the matrices whose weights are used most, and have the others take turns.

    slack: cycles that each step computes, about; cost: those of each matrix's fetch. Raises
    CompileError for one that does not fit even alone.
    """
    memories = _memories(arch, tiles)
    order = sorted(range(len(tiles)), key=lambda m: (uses[m].reuse, -memories[0].words[m], m))
    streamed: set[int] = set()
    alone: set[int] = set()
    for number in (*order, None):
        if all(_end(memory, uses, streamed, alone) <= memory.size for memory in memories):
            break
        if number is not None:
            streamed.add(number)
    else:
        _make_room(arch, tiles, memories, uses, streamed, alone)
    uses = _earlier(memories, uses, streamed, alone, slack, cost)
    rows, indices = (_placed(memory, uses, streamed, alone) for memory in memories)
    ends = [_end(memory, uses, streamed, alone) for memory in memories]
    return WeightPlaces(
        tuple(rows), tuple(indices), frozenset(streamed), frozenset(alone), ends[0], ends[1],
        tuple(use.brought for use in uses),
    )  # fmt: skip


def _earlier(
    memories: Sequence[_Memory], uses: Sequence[Use], streamed: set[int], alone: set[int],
    slack: Sequence[float], cost: Sequence[float],
) -> list[Use]:  # fmt: skip
    """Have matrices fetched beside an earlier step that hides them, where the memories allow.

    slack: what each step computes, cost: what each matrix's fetch takes, both in cycles.
    """
    left, found = list(slack), list(uses)
    for number in sorted(streamed - alone, key=lambda m: uses[m].first):
        first = uses[number].first
        steps = range(max(0, first - MOST_AHEAD), first)
        for step in sorted(steps, key=lambda s: (-min(left[s], cost[number]), -s)):
            trial = [*found]
            trial[number] = replace(found[number], brought=step + 1)
            if all(_end(memory, trial, streamed, alone) <= memory.size for memory in memories):
                found = trial
                left[step] -= cost[number]
                break
    return found


def finer_slicings(
    arch: Arch, tiles: Sequence[StoredMatrix], uses: Sequence[Use], now: Mapping[str, Slicing],
    products: Container[str],
) -> dict[str, Slicing]:  # fmt: skip
    """Return how products are to be cut whose matrices a memory does not hold even alone.

    They become parts of half the memory, so that one is fetched while another is used. What fits
    whole is not cut: every part has pointers to all columns. products: names of what can be cut;
    nothing is returned where all fits as it is.
    """
    memories = rows, indices = _memories(arch, tiles)
    if all(_end(memory, uses, set(), set()) <= memory.size for memory in memories):
        return {}
    finer: dict[str, Slicing] = {}
    for number, use in enumerate(uses):
        before = now.get(use.node, Slicing())
        most = before.rows, before.index_words
        share = 2 if use.node in now else 1
        if rows.words[number] > rows.size // share:
            most = min(before.rows, -(-tiles[number].packed.rows // 2)), most[1]
        if indices.words[number] > indices.size // share:
            most = most[0], indices.size // 2
        known = finer.get(use.node, before)
        wanted = Slicing(min(known.rows, most[0]), max(known.index_words, most[1]))
        if use.node in products and wanted != before:
            finer[use.node] = wanted
    return finer


def _memories(arch: Arch, tiles: Sequence[StoredMatrix]) -> tuple[_Memory, _Memory]:
    core = arch.core
    preload = core.index_memory.mode == "preload"
    size = core.weight_memory.words if core.weight_memory else core.data_memory.words
    return (
        _Memory("weight memory", tuple(depth_rows(arch, t) for t in tiles), size),
        _Memory(
            "index memory",
            tuple(0 if preload else tile.index_words for tile in tiles),
            core.index_memory.words,
        ),
    )


def _make_room(
    arch: Arch,
    tiles: Sequence[StoredMatrix],
    memories: Sequence[_Memory],
    uses: Sequence[Use],
    streamed: set[int],
    alone: set[int],
) -> None:
    """Have matrices fetched between steps, the largest first, until all fit in turns."""
    for memory in memories:
        by_size = sorted(streamed - alone, key=lambda m: -memory.words[m])
        while (end := _end(memory, uses, streamed, alone)) > memory.size:
            if not by_size:
                raise CompileError(_refusal(arch, tiles, memory, uses, end))
            alone.add(by_size.pop(0))


def _refusal(
    arch: Arch, tiles: Sequence[StoredMatrix], memory: _Memory, uses: Sequence[Use], end: int
) -> str:
    largest = max(range(len(tiles)), key=lambda m: memory.words[m])
    key = "weight_memory" if memory.name == "weight memory" else "index_memory"
    return (
        f"{arch.name}: layer {tiles[largest].layer} needs {memory.words[largest]} words of a PE's "
        f"{memory.name} for {tiles[largest].name}, and there are {memory.size} even "
        f"when all other weights come from external memory; set core.{key}.words={end}, use more "
        "PEs or prune it"
    )


def _spans(
    memory: _Memory, uses: Sequence[Use], streamed: set[int], alone: set[int]
) -> list[tuple[int, Span]]:
    """Return the matrices that take turns, and when each is there."""
    return [
        (m, Span(memory.words[m], 2 * uses[m].brought - (1 if m in alone else 2), 2 * uses[m].last))
        for m in sorted(streamed)
    ]


def _stay(memory: _Memory, streamed: set[int]) -> Iterable[tuple[int, int]]:
    """Yield the matrices that stay, with their first word."""
    word = 0
    for number, words in enumerate(memory.words):
        if number not in streamed:
            yield number, word
            word += words


def _placed(memory: _Memory, uses: Sequence[Use], streamed: set[int], alone: set[int]) -> list[int]:
    """Return the first word of every matrix: those that stay first, the others behind them."""
    places = dict(_stay(memory, streamed))
    begin = sum(memory.words[m] for m in places)
    turns = _spans(memory, uses, streamed, alone)
    for (number, _), at in zip(turns, first_fit([span for _, span in turns]), strict=True):
        places[number] = begin + at
    return [places[number] for number in range(len(memory.words))]


def _end(memory: _Memory, uses: Sequence[Use], streamed: set[int], alone: set[int]) -> int:
    """Return the word behind the last that any matrix takes."""
    stay = sum(words for m, words in enumerate(memory.words) if m not in streamed)
    spans = [span for _, span in _spans(memory, uses, streamed, alone)]
    return stay + end_of(spans, first_fit(spans))
