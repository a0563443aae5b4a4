"""Weight, block and unit pruning of a speech enhancer: published gains beside ours, and why not."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from string import ascii_uppercase

from spusim.api import load_arch, load_network, load_stream, simulate
from spusim.experiments.charts.measures import TIMES
from spusim.experiments.charts.records import Axis, LineChart, Panel, Quantity, Role, Scale, Series
from spusim.experiments.validation.published import published, source_of
from spusim.experiments.validation.records import Row, Study
from spusim.network.records import Network, Stream
from spusim.result import RunResult

NETWORK = "tinylstm_se"
PARAMETERS = 971_008  # of it, in float32 as published; a test counts them
FRAMES = 61  # of its stream: the first file
_FLOAT_BITS, _WEIGHT_BITS = 32, 8
# blocks as large as the ones that are pruned, on a machine that stores blocks
_LARGE_BLOCKS = ("core.sparse.block.rows=16", "core.sparse.block.columns=16")
_UNIT_SHARE = 0.35  # leaves about as many weights as 1 / 6.7 of the blocks
_NOTES = (
    "nothing has to hold: how the papers count, and what their machines do besides products, is "
    "not public; weights are random, and accuracy is not claimed (docs/pruning_study.md)",
    "42x and 27x are of bytes, over all parameters in float32; ours are of weights and of biases "
    "of 32 bits, with what says where the nonzero weights are unless it is `not counted`",
    "6.7x, and what is over dense int8, is over the unpruned network on a machine with the same "
    "lanes that skips nothing; a frame has the host link, vector unit and router in it, which no "
    "zero weight shortens, an engine the load of its operand and a cycle for every column",
)


@dataclass(frozen=True)
class _Gains:
    """A pruned network on its machine, and the unpruned one on a machine that skips nothing."""

    pruned: RunResult
    dense: RunResult

    @property
    def memory(self) -> float:
        """Of bytes: weights, biases and indices."""
        return _over_float32(sum(self.pruned.stored_bits.values()))

    @property
    def memory_without_indices(self) -> float:
        """Of bytes: weights and biases alone."""
        return _over_float32(self.pruned.stored_bits["weights"])

    @property
    def macs(self) -> float:
        """Of multiplications whose weight is not zero."""
        return self.dense.macs["dense"] / self.pruned.macs["weight_nonzero"]

    @property
    def engine(self) -> float:
        """Of the sparse engines' cycles: products with their loads and drains."""
        return _engine_cycles(self.dense) / _engine_cycles(self.pruned)

    @property
    def frame(self) -> float:
        """Of all cycles, from a frame's first input word to its last output word."""
        return self.dense.cycles / self.pruned.cycles

    @property
    def energy(self) -> float:
        """Of a frame's energy."""
        return self.dense.energy_pj["total"] / self.pruned.energy_pj["total"]


def pruning_tradeoffs() -> Study:
    """Return the gains of the three structures at the densities that the claims imply."""
    table = published("pruning_tradeoffs")
    claims = {claim: (value, density) for claim, value, density in table.iter_rows()}
    memory = (
        *_weight_rows(*claims["weight pruning: memory"]),
        *_spu_memory_rows(*claims["SPU-001: memory and compute"]),
    )
    time = (
        *_block_rows(*claims["block pruning: speedup"]),
        *_spu_time_rows(*claims["SPU-001: memory and compute"]),
    )
    return Study(
        "pruning_tradeoffs",
        "Weight, block and unit pruning of a speech enhancer of 0.97 M parameters",
        source_of("pruning_tradeoffs"),
        "spu001, micronpu, eie64",
        (*memory, *time),
        _NOTES,
        _chart(memory, time),
    )


def _weight_rows(value: float, density: float) -> list[Row]:
    element = _gains("spu001", "element", density)
    runs = _gains("eie64", "element", density)
    pencil = _gains("spu001", "pencil:8", density)
    left = f"{density:.1%} of the weights, as 42x implies with 8 bits for 32"
    return [
        Row("42x: elements, bitmap not counted", "x", value, element.memory_without_indices,
            note=left),
        Row("42x: elements", "x", value, element.memory,
            note="the bitmap alone, a bit for every weight, is more than the published 87 kB"),
        Row("42x: elements, 4-bit runs (eie64)", "x", value, runs.memory,
            note="64 PEs have a pointer for each of their columns, 122 kB in all"),
        Row("42x: pencils of 8", "x", value, pencil.memory),
    ]  # fmt: skip


def _spu_memory_rows(value: float, density: float) -> list[Row]:
    pencil = _gains("spu001", "pencil:8", density)
    return [
        Row("27x: pencils of 8, map not counted", "x", value, pencil.memory_without_indices),
        Row("27x: pencils of 8", "x", value, pencil.memory),
    ]


def _block_rows(value: float, density: float) -> list[Row]:
    small = _gains("micronpu", "block:8x8", density)
    large = _gains("micronpu", "block:16x16", density, _LARGE_BLOCKS)
    unit = _gains("micronpu", "unit", _UNIT_SHARE)
    left = f"{density:.1%} of the blocks, as 6.7x implies; 8 bits make some more weights zero"
    few = "a PE owns whole rows of blocks, 4 of an LSTM's 64, and the loads of 4 differ more"
    share = f"{_UNIT_SHARE:.0%} of the units, {1 / unit.macs:.1%} of the weights"
    return [
        Row("6.7x: 8 x 8 blocks, MACs alone", "x", value, small.macs, note=left),
        Row("6.7x: 8 x 8 blocks, engine", "x", value, small.engine),
        Row("6.7x: 8 x 8 blocks, frame", "x", value, small.frame),
        Row("6.7x: 16 x 16 blocks, engine", "x", value, large.engine, note=few),
        Row("6.7x: 16 x 16 blocks, frame", "x", value, large.frame),
        Row("6.7x: units, engine", "x", value, unit.engine, note=share),
        Row("6.7x: units, frame", "x", value, unit.frame),
    ]


def _spu_time_rows(value: float, density: float) -> list[Row]:
    pencil = _gains("spu001", "pencil:8", density)
    bits = _FLOAT_BITS / _WEIGHT_BITS
    return [
        Row("27x: MACs x weight bits, over float32", "x", value, bits * pencil.macs),
        Row("27x: engine, over dense int8", "x", None, pencil.engine),
        Row("27x: frame, over dense int8", "x", None, pencil.frame),
        Row("27x: energy, over dense int8", "x", None, pencil.energy),
    ]


def _gains(arch: str, structure: str, density: float, settings: tuple[str, ...] = ()) -> _Gains:
    prune = (f"prune.structure={structure}", f"prune.density={density}")
    return _Gains(_run(arch, prune, ("core.sparse.format=auto", *settings)), _run("spu001_dense"))


@cache
def _run(arch: str, prune: tuple[str, ...] = (), settings: tuple[str, ...] = ()) -> RunResult:
    network = load_network(NETWORK, settings=prune)
    return simulate(network, load_arch(arch, settings), _first_file(network))


def _first_file(network: Network) -> Stream:
    stream = load_stream(NETWORK, network)
    return Stream(stream.frames[:FRAMES], (0,), stream.names[:1])


def _over_float32(bits: int) -> float:
    return PARAMETERS * _FLOAT_BITS / bits


def _engine_cycles(result: RunResult) -> int:
    return sum(layer["engine_cycles"] for layer in result.layers.values())


def _chart(memory: Sequence[Row], time: Sequence[Row]) -> LineChart:
    """Return both halves of the table, rows by letter."""
    letters = dict(zip([row.name for row in (*memory, *time)], ascii_uppercase, strict=False))
    panels = (_panel("bytes", memory, letters), _panel("time and energy", time, letters))
    key = tuple((letter, name) for name, letter in letters.items())
    return LineChart("pruning_tradeoffs", "What pruning gains", panels, 2, key=key)


def _panel(title: str, rows: Sequence[Row], letters: dict[str, str]) -> Panel:
    ours = tuple((float(x), row.ours) for x, row in enumerate(rows))
    told = tuple((float(x), row.published) for x, row in enumerate(rows) if row.published)
    return Panel(
        title,
        Axis(
            Quantity("row", "letter"),
            ticks=tuple((float(x), letters[row.name]) for x, row in enumerate(rows)),
        ),
        Axis(Quantity("gain", TIMES), Scale.LOG),
        (_cloud("published", told, 0), _cloud("spusim", ours, 1)),
    )


def _cloud(label: str, points: Sequence[tuple[float, float]], hue: int) -> Series:
    x, y = zip(*points, strict=True)
    return Series(label, x, y, (), Role.CLOUD, hue, 1 - hue)
