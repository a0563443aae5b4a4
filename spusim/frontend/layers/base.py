"""What every layer type says of itself, and what it is given to expand into a graph's nodes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from spusim.frontend.weight_formats import stored_bits
from spusim.frontend.weights import QuantisedMatrix, quantise_matrix
from spusim.network.records import (
    Combine,
    Constant,
    Cut,
    Head,
    Join,
    Node,
    Product,
    Quantum,
    Requant,
    Shift,
    State,
    Tensor,
)

Observer = Callable[[str, np.ndarray], None]
Peaks = dict[str, np.ndarray]

COMMON_ACCUMULATOR_BITS = 32
# of what lies between layers whose scales are found at run time: with a calibration, or without
CALIBRATED_BITS, BOUNDED_BITS = 16, 32


@dataclass(frozen=True)
class FloatNode(ABC):
    """A layer before quantising: its reference in numpy, and its expansion. One file a type.

    Layers with one input are FloatLayers, those with several FloatMerges.
    """

    name: str

    @property
    @abstractmethod
    def takes(self) -> tuple[int, ...]:
        """Features of each input."""

    @property
    @abstractmethod
    def gives(self) -> int:
        """Features out."""

    @property
    def keeps(self) -> bool:
        """Whether its output has the quantum of its inputs, which must then share one."""
        return False

    @property
    def tabulates(self) -> bool:
        """Whether it is a table of 16 bits, with the quantum of sigmoid and tanh."""
        return False

    @property
    def sums(self) -> int | None:
        """Frames that its output is a sum over, by which a later layer divides; None: no sum."""
        return None

    @property
    def takes_sums(self) -> bool:
        """Whether an input may be a sum, which it divides (job.divisor) or, if it keeps, gives on.

        Every other layer is given the sum divided.
        """
        return False

    @property
    def recurrent(self) -> bool:
        """Whether its output is a state too, which meets its input in a product."""
        return False

    def state_quantum(self, x: Quantum, absmax: float, found: Quantum, weight_bits: int) -> Quantum:
        """Return the quantum of a recurrent layer's output, for its input's and its range +-absmax.

        found: the finest that the output's own range, or what shares its quantum, allows.
        """
        return found

    def free_state_quantum(self, found: Quantum) -> Quantum:
        """Return as `state_quantum` does where state and input meet in no accumulator."""
        return found

    @property
    def normalises(self) -> bool:
        """Whether its products can take operands whose scale every frame finds anew."""
        return False

    @property
    def matrices(self) -> tuple[str, ...]:
        """Names of its fields that are matrices, to be pruned."""
        return ()

    @abstractmethod
    def forward(
        self, values: tuple[np.ndarray, ...], starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames of every input, each (frames, its size) -> (frames, out) float64.

        State is reset at `starts`. `observe(name, values)` gets what quantising must know the
        range of, beside the output.
        """

    @abstractmethod
    def add_nodes(self, job: "Job", xs: tuple[Tensor, ...], output: Quantum) -> Tensor:
        """Add the nodes that compute the layer, and return the output, named as the layer."""


@dataclass(frozen=True)
class FloatLayer(FloatNode, ABC):
    """A layer with one input."""

    @property
    @abstractmethod
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""

    @property
    def takes(self) -> tuple[int, ...]:
        """Features of its input."""
        return self.sizes[:1]

    @property
    def gives(self) -> int:
        """Features out."""
        return self.sizes[1]

    @abstractmethod
    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, in) -> (frames, out) float64, as `forward` does."""

    @abstractmethod
    def expand(self, job: "Job", x: Tensor, output: Quantum) -> Tensor:
        """Add the nodes that compute the layer of x, and return the output, named as the layer."""

    def forward(
        self, values: tuple[np.ndarray, ...], starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames of the one input."""
        return self.evaluate(values[0], starts, observe)

    def add_nodes(self, job: "Job", xs: tuple[Tensor, ...], output: Quantum) -> Tensor:
        """Add the nodes that compute the layer of its one input."""
        return self.expand(job, xs[0], output)


@dataclass(frozen=True)
class FloatMerge(FloatNode, ABC):
    """A layer with several inputs, each a vector of the features that `takes` says."""

    inputs: tuple[int, ...]

    @property
    def takes(self) -> tuple[int, ...]:
        """Features of each input."""
        return self.inputs


@dataclass
class Job:
    """A quantisation under way: what was calibrated, and the graph and notes so far."""

    peaks: Peaks
    ranges: dict[str, float]
    weight_bits: int | str  # or a word of `weight_formats`
    per_channel: bool
    nodes: list[Node] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    normalised_bits: int = 0  # of what the layer's products multiply, by scales found at run time
    wide_bits: int = CALIBRATED_BITS  # of what such products read and make
    divisor: int = 1  # the tensor at hand is this many times its real value: a sum for a mean

    @property
    def stored_bits(self) -> int:
        """Bits of a stored weight."""
        return stored_bits(self.weight_bits)

    def add(self, node: Node) -> None:
        """Add a node."""
        self.nodes.append(node)

    def state(self, tensor: Tensor, becomes: str, layer: str, start: int = 0) -> Tensor:
        """Add a state and return its tensor."""
        self.states.append(State(tensor, becomes, start, layer))
        return tensor

    def combine(
        self,
        kind: str,
        a: Tensor,
        b: Tensor,
        output: Tensor,
        layer: str,
        sb: int = 0,
        sd: int = 0,
        sa: int = 0,
    ) -> Tensor:
        """Add a Combine, named after its output, and return that."""
        name = f"{output.name} {kind}"
        self.add(Combine(name, layer, kind, a.name, b.name, output, sa, sb, sd))
        return output

    def cut(self, name: str, layer: str, x: Tensor, first: int, size: int) -> Tensor:
        """Add a Cut of x, and return its output, called `name`."""
        output = Tensor(name, size, x.quantum)
        self.add(Cut(name, layer, x.name, first, output))
        return output

    def join(self, name: str, layer: str, parts: Sequence[Tensor]) -> Tensor:
        """Add a Join of tensors that share a quantum, and return its output, called `name`."""
        output = Tensor(name, sum(part.size for part in parts), parts[0].quantum)
        self.add(Join(name, layer, tuple(part.name for part in parts), output))
        return output

    def product(
        self,
        layer: str,
        x: Tensor,
        matrix: QuantisedMatrix,
        heads: tuple[Head, ...],
        windows: tuple[int, ...] = (0,),
    ) -> None:
        """Add the product of a layer's one matrix."""
        self.add(
            Product(
                layer, layer, x.name, matrix.weight, matrix.bits, matrix.bias, heads, windows,
                codebook=matrix.codebook,
            )
        )  # fmt: skip

    def constant(self, name: str, layer: str, values: np.ndarray, quantum: Quantum) -> Tensor:
        """Add a constant of integers (size,) and return its tensor."""
        tensor = Tensor(name, len(values), quantum)
        self.add(Constant(name, layer, values.astype(np.int32), tensor))
        return tensor

    def shift(self, x: Tensor, output: Tensor, layer: str) -> Tensor:
        """Bring x to the quantum of `output`, which it returns; nothing where x has it."""
        if x.quantum == output.quantum:
            return x
        shift = output.quantum.exponent - x.quantum.exponent
        self.add(Shift(output.name, layer, x.name, output, sd=shift))
        return output

    def matrix(
        self,
        name: str,
        weight: np.ndarray,
        bias: np.ndarray | None,
        sums: np.ndarray,
        in_scale: float | np.ndarray,
        out_exponent: int,
        always_per_channel: bool = False,
    ) -> QuantisedMatrix:
        """Quantise a layer's weight (out, in), and note what that does.

        sums (out,): the largest of its products with the input; in_scale: real value of a unit of
        the input, or of each row of it (out,).
        """
        matrix = quantise_matrix(
            weight, bias, self.weight_bits, self.per_channel or always_per_channel, in_scale,
            2.0**out_exponent,
        )  # fmt: skip
        self._note_lost(name, weight, matrix)
        if matrix.widened:
            self.notes.append(
                f"{name}: {matrix.widened} weight scale(s) made coarser, so that bias and "
                "requantisation fit 32 bits"
            )
        needed = int(np.ceil(np.log2((sums / matrix.units).max(initial=1.0) + 1))) + 1
        if needed > COMMON_ACCUMULATOR_BITS:
            self.notes.append(
                f"{name}: sums reach {needed} bits in the calibration; give "
                f"numerics.accumulator_bits={needed + 2} or narrower weights"
            )
        return matrix

    def plain_matrix(
        self, name: str, weight: np.ndarray, in_scale: float | np.ndarray, out_exponent: int
    ) -> QuantisedMatrix:
        """Quantise a weight (out, in) whose bias is added elsewhere, and note what is lost."""
        matrix = quantise_matrix(
            weight, None, self.weight_bits, self.per_channel, in_scale, 2.0**out_exponent
        )
        self._note_lost(name, weight, matrix)
        return matrix

    def _note_lost(self, name: str, weight: np.ndarray, matrix: QuantisedMatrix) -> None:
        if matrix.lost:
            total = np.count_nonzero(weight)
            self.notes.append(f"{name}: {matrix.lost} of {total} nonzero weights rounded to zero")

    def note_clipping(self, name: str, what: str, quantum: Quantum, absmax: float) -> None:
        """Note that a tensor's calibrated range is larger than its quantum; a bound may well be."""
        if self.wide_bits == BOUNDED_BITS:
            return
        limit = quantum.largest * 2.0**quantum.exponent
        if absmax > limit:
            self.notes.append(
                f"{name}: {what} reach {absmax:.4g} in the calibration and clip at {limit:.4g}"
            )


def rows_of(requant: Requant, rows: slice) -> Requant:
    """Return the requantisation of some rows; that of a whole tensor is theirs too."""
    multiplier, shift = (x if len(x) == 1 else x[rows] for x in (requant.multiplier, requant.shift))
    return Requant(multiplier, shift)


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Logistic function, without overflow for large magnitudes."""
    return 0.5 * (1.0 + np.tanh(0.5 * values))


def files(starts: tuple[int, ...], frames: int) -> Iterator[slice]:
    """Yield the frames of each file."""
    ends = (*starts[1:], frames)
    return (slice(start, end) for start, end in zip(starts, ends, strict=True))


def side_by_side(starts: tuple[int, ...], frames: int) -> Iterator[np.ndarray]:
    """Yield the first frame of each file (files,), then the second, and so on; the longest first.

    A file that ends is the last one, and gone from the next.
    """
    longest_first = sorted(files(starts, frames), key=lambda file: file.start - file.stop)
    first = np.array([file.start for file in longest_first], dtype=np.intp)
    lengths = np.array([file.stop - file.start for file in longest_first], dtype=np.intp)
    for step in range(lengths.max(initial=0)):
        yield first[: np.count_nonzero(lengths > step)] + step
