"""What runs where: a chain of layers cut into stages, and each stage's outputs shared by cores."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from spusim.arch import Arch
from spusim.network.check import layer_sizes
from spusim.network.records import (
    Activation,
    Layer,
    Linear,
    Lstm,
    Network,
    PoolTime,
    Quantum,
)

TABLE_INPUT_BITS = 16
Elementwise = Activation | PoolTime


@dataclass(frozen=True)
class Part:
    """A core's share of a stage's outputs: `size` of them from `offset` on."""

    core: int
    offset: int
    size: int


@dataclass(frozen=True)
class Stage:
    """Layers that need no exchange between cores: a matrix and what follows it elementwise.

    `fused` is the activation that the requantisation of a Linear applies on the way.
    """

    number: int
    matrix: Linear | Lstm | None
    fused: Activation | None
    elementwise: tuple[Elementwise, ...]
    inputs: int
    size: int
    parts: tuple[Part, ...]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers in order."""
        return tuple(x for x in (self.matrix, self.fused, *self.elementwise) if x is not None)

    @property
    def name(self) -> str:
        """The first layer's name."""
        return self.layers[0].name

    @property
    def input(self) -> Quantum:
        """Quantum of the inputs."""
        return self.layers[0].input

    @property
    def output(self) -> Quantum:
        """Quantum of the outputs."""
        return self.layers[-1].output

    @property
    def cores(self) -> tuple[int, ...]:
        """Cores with work."""
        return tuple(part.core for part in self.parts)

    @property
    def recurrent(self) -> bool:
        """Whether its cores need all of its hidden state again in the next frame."""
        return isinstance(self.matrix, Lstm)

    @property
    def gives_hidden(self) -> bool:
        """Whether its output is the hidden state itself."""
        return self.recurrent and not self.elementwise

    def part_of(self, core: int) -> Part:
        """Return a working core's part."""
        return self.parts[self.cores.index(core)]


def plan_stages(network: Network, arch: Arch) -> tuple[Stage, ...]:
    """Cut a chain before every matrix, and share each stage's outputs out."""
    groups: list[list[Layer]] = []
    for layer in network.layers:
        if not groups or isinstance(layer, Linear | Lstm):
            groups.append([])
        groups[-1].append(layer)
    return tuple(_stage(number, group, arch) for number, group in enumerate(groups))


def _stage(number: int, layers: Sequence[Layer], arch: Arch) -> Stage:
    matrix = layers[0] if isinstance(layers[0], Linear | Lstm) else None
    rest = tuple(x for x in layers if isinstance(x, Activation | PoolTime))
    fused = rest[0] if isinstance(matrix, Linear) and rest and _fuses(matrix, rest[0]) else None
    size = layer_sizes(layers[0])[1]
    widths = {layers[-1].output.bits, layers[0].output.bits if matrix else layers[0].input.bits}
    align = math.lcm(
        group_rows(arch) if matrix else 1, *(elements_per_word(arch, b) for b in widths)
    )
    return Stage(
        number,
        matrix,
        fused if isinstance(fused, Activation) else None,
        rest[1:] if fused else rest,
        layer_sizes(layers[0])[0],
        size,
        split(size, align, arch.cores),
    )


def _fuses(matrix: Linear, after: Elementwise) -> bool:
    """Tell whether requantising to the table's input first is what the two layers do."""
    if not isinstance(after, Activation):
        return False
    return after.function == "relu" or matrix.output.bits == TABLE_INPUT_BITS


def elements_per_word(arch: Arch, bits: int) -> int:
    """Return the elements of `bits` in a word of data memory."""
    return arch.core.data_memory.word_bits // bits


def group_rows(arch: Arch) -> int:
    """Return the rows that should stay together: those of a pencil where one may be stored."""
    sparse = arch.core.sparse
    stored = sparse.formats if sparse.format == "auto" else (sparse.format,)
    return sparse.pencil if sparse.weights != "dense" and "pencil" in stored else 1


def split(size: int, align: int, cores: int) -> tuple[Part, ...]:
    """Share `size` outputs out over cores, contiguously and in units of `align`.

    The first cores get a unit more where units do not come out even, the last the rest of the
    outputs. Cores without any are left out; they are always the last ones.
    """
    units = -(-size // align)
    share, more = divmod(units, cores)
    parts, offset = [], 0
    for core in range(cores):
        end = min(size, offset + align * (share + (core < more)))
        if end > offset:
            parts.append(Part(core, offset, end - offset))
        offset = end
    return tuple(parts)
