"""Program: what the compiler hands to golden and machine, and all that they know of a network."""

from dataclasses import dataclass, field, replace

import numpy as np

from spusim.formats.layout import PackedMatrix
from spusim.numerics.convolution import Convolution
from spusim.numerics.errors import NumericsError
from spusim.numerics.modes import Numerics

HOST = 15  # bit of `send`'s destination mask that means the host
TABLE_NONE = 63
TABLE_RELU = 62
PLANAR = 1  # `Window.layout`
ACTIVATION_BITS = (1, 4, 8, 16)  # of what a window reads
OUTPUT_BITS = (8, 16, 32)  # and writes


@dataclass(frozen=True)
class Thread:
    """A thread: where it starts, and how many tokens arm it."""

    name: str
    entry: int
    tokens: int


def planar_order(size: int, pixels: int) -> np.ndarray:
    """Return, plane after plane, which of an image's elements each is: (size,) int64."""
    return np.arange(size).reshape(pixels, -1).T.reshape(-1)


@dataclass(frozen=True)
class Operand:
    """What a matrix multiplies in a frame, so that another machine's recording can stand for it.

    The product `product` reads a tensor of `size` elements; the matrix multiplies those of
    windows that begin with elements `windows`, one window after the other. runs: (the matrix's
    column, the element counted from the window's first, how many) of columns that are not gaps.
    pixels: of a plane, where these elements are counted plane after plane; 1: as the network does.
    A convolution has no runs, since its columns are places: each window is the operand of one of
    its instructions, elements counted channel by channel of one pixel after the other. channels: of
    its image, where an instruction reads some of them, from a window's first on; 0: it reads all.
    """

    product: str
    size: int
    windows: tuple[int, ...]
    runs: tuple[tuple[int, int, int], ...]
    pixels: int = 1
    channels: int = 0

    @property
    def order(self) -> np.ndarray:
        """Which of the network's elements each one counted here is, (size,) int64."""
        return planar_order(self.size, self.pixels)

    @property
    def is_image(self) -> bool:
        """Whether it is a convolution's."""
        return bool(self.windows) and not self.runs

    def part(self, first: int, end: int) -> "Operand":
        """Return what a tile of the columns from `first` up to `end` multiplies."""
        runs = []
        for at, element, count in self.runs:
            begin, stop = max(at, first), min(at + count, end)
            if begin < stop:
                runs.append((begin - first, element + begin - at, stop - begin))
        return replace(self, runs=tuple(runs))


NO_OPERAND = Operand("", 0, (), ())


@dataclass(frozen=True)
class Matrix:
    """A matrix descriptor with the image it describes.

    `base` is the first weight memory row (with the data banks as weight banks: the first row of
    words across the banks); the slice of PE p starts there: first, with `preload`, the index
    words, then bias and entries. `index_base` is the first index memory word (0 with `preload`).
    `operand` is known of what is compiled from a network or layer. void: elements that are zero
    because products were merged, filters see other groups' channels, or planes leave gaps, and
    that no dense machine multiplies. `codebook` is 1 + the
    number of the table with the entries that weights are indices of; 0: weights are integers.
    `home` is the first external memory word of the matrix's image (T51), from where a `fetch`
    brings it; None: it is in place from the start.
    """

    name: str
    packed: PackedMatrix
    activation_bits: int
    base: int
    index_base: int
    preload: bool
    operand: Operand = NO_OPERAND
    void: int = 0
    codebook: int = 0
    home: int | None = None

    @property
    def dense_macs(self) -> int:
        """MACs of a dense machine's product."""
        return self.packed.rows * self.packed.columns - self.void

    @property
    def precision(self) -> str:
        """Weight x activation, as `core.precisions` names it."""
        return f"{self.packed.layout.weight_kind}x{self.activation_bits}"


@dataclass(frozen=True)
class Window:
    """A window descriptor, fields as the ISA's record has them (T33, T34, T49).

    The tile is the `rows` of output from `first_row` on; `layout` 0 is interleaved, 1 planar.
    Results are scaled by `shift`, or by the entries at word 4 * `scale`: `scaling` 0 shift,
    1 one entry, 2 one a filter. Pooling: 0 maximum, 1 sum, times `multiplier`, which with
    `counted` 0 is for windows that lie inside.
    """

    name: str
    channels: int
    height: int
    width: int
    rows: int
    kernel_height: int = 1
    kernel_width: int = 1
    stride_y: int = 1
    stride_x: int = 1
    dilation_y: int = 1
    dilation_x: int = 1
    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0
    groups: int = 1
    first_row: int = 0
    layout: int = 0
    activation_bits: int = 8
    output_bits: int = 8
    rounding: int = 0
    scaling: int = 0
    shift: int = 0
    scale: int = 0
    pooling: int = 0
    counted: int = 1
    multiplier: int = 1

    @property
    def planar(self) -> bool:
        """Whether tensors lie plane after plane, and products are added by channel (T35)."""
        return self.layout == PLANAR

    @property
    def places(self) -> int:
        """Places of the kernel."""
        return self.kernel_height * self.kernel_width

    def complaint(self, filters: int) -> str:
        """Return what is wrong with a window of so many filters, "" if nothing is."""
        try:
            shape = self.shape(filters)
        except NumericsError as error:
            return str(error)
        end = self.first_row + self.rows
        rules = (
            (self.rows >= 1 and end <= shape.out_height,
             f"rows {self.first_row} to {end - 1} must be some of the output's {shape.out_height}"),
            (self.activation_bits in ACTIVATION_BITS,
             f"activation_bits (={self.activation_bits}) must be one of {ACTIVATION_BITS}"),
            (self.output_bits in OUTPUT_BITS,
             f"output_bits (={self.output_bits}) must be one of {OUTPUT_BITS}"),
            (self.scaling in range(3), f"scaling (={self.scaling}) must be 0 to 2"),
            (-30 <= self.shift <= 62, f"shift (={self.shift}) must be from -30 to 62"),
            (self.counted or self.multiplier * self.places < 1 << 31,
             f"multiplier (={self.multiplier}) times {self.places} places must be below 2**31"),
        )  # fmt: skip
        return next((why for holds, why in rules if not holds), "")

    def shape(self, filters: int) -> Convolution:
        """Return the sizes of a convolution with so many filters; raises NumericsError."""
        return Convolution(
            self.channels, self.height, self.width, filters, self.kernel_height,
            self.kernel_width, (self.stride_y, self.stride_x),
            (self.top, self.left, self.bottom, self.right), (self.dilation_y, self.dilation_x),
            self.groups,
        )  # fmt: skip


def window_record(window: Window) -> dict[str, int]:
    """Return the fields of a window descriptor."""
    return {name: value for name, value in vars(window).items() if name != "name"}


@dataclass(frozen=True)
class Table:
    """A look-up table: entries (2**address_bits [+1]) int32, at `base` in table memory.

    An input x (16 bit) is looked up at (x >> fraction_bits) + 2**(address_bits-1), clipped to
    the table; the low fraction_bits interpolate.
    """

    name: str
    entries: np.ndarray
    base: int
    address_bits: int
    fraction_bits: int
    interpolate: bool


@dataclass(frozen=True)
class Transfer:
    """A transfer descriptor, fields as the ISA's record has them (T52)."""

    name: str
    words: int
    runs: int = 1
    local_stride: int = 0
    external_stride: int = 0

    def complaint(self, into_data: bool) -> str:
        """Return what is wrong with copying so to data memory (else from it), "" if nothing is."""
        stride, side = (
            (self.local_stride, "local") if into_data else (self.external_stride, "external")
        )
        rules = (
            (self.words >= 1 and self.runs >= 1,
             f"words (={self.words}) and runs (={self.runs}) must be at least 1"),
            (self.runs == 1 or stride >= self.words,
             f"{side}_stride (={stride}) must be at least its {self.words} words, so that what is "
             "written does not overlap itself"),
        )  # fmt: skip
        return next((f"transfer {self.name}: {why}" for holds, why in rules if not holds), "")

    def spans(self, address: int, stride: int) -> list[tuple[int, int]]:
        """Return [first, end) of the words of each run on one side."""
        return [(address + r * stride, address + r * stride + self.words) for r in range(self.runs)]


def transfer_record(transfer: Transfer) -> dict[str, int]:
    """Return the fields of a transfer descriptor."""
    return {name: value for name, value in vars(transfer).items() if name != "name"}


@dataclass(frozen=True)
class Segment:
    """Initial contents of a memory from a word address on: (words, word_bits/8) uint8."""

    name: str
    address: int
    words: np.ndarray


@dataclass(frozen=True)
class CoreImage:
    """What one core is loaded with."""

    code: np.ndarray  # (instructions,) uint64
    threads: tuple[Thread, ...]
    matrices: tuple[Matrix, ...]
    tables: tuple[Table, ...]
    segments: tuple[Segment, ...]
    # (name, first word address, words), the compiler's memory map, for people
    symbols: tuple[tuple[str, int, int], ...] = ()
    # instruction index -> comment
    comments: dict[int, str] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    transfers: tuple[Transfer, ...] = ()


@dataclass(frozen=True)
class InputPort:
    """What the host sends for a frame: elements, packed into words, to a channel of `cores`.

    fill: the integer that fills the last word, as many bits wide. external: the external memory
    word from which on a frame is written, in place of a channel (T60). planes: a frame's pixels
    have so many elements, and what is sent is one plane of them after the other, each from a fresh
    word, its last word filled.
    """

    cores: tuple[int, ...]
    channel: int
    thread: int  # gets the message's token
    elements: int
    bits: int  # of an element in memory
    fill: int = 0
    external: int | None = None
    planes: int = 1

    @property
    def filler(self) -> int:
        """What elements beyond the last are: `fill`, and -1, no bit set, where one bit has no 0."""
        return -1 if self.bits == 1 else self.fill


@dataclass(frozen=True)
class OutputPort:
    """One of the host's channels: `elements` of a frame's output from `offset` on.

    planes: they are pixels of so many elements, and arrive plane after plane, each from a fresh
    word. stride: elements from a pixel to the next in the frame's output, 0 where no other port
    has some of a pixel's.
    """

    core: int
    channel: int  # the `channel` of the `send` to the host
    offset: int
    elements: int
    bits: int
    planes: int = 1
    stride: int = 0

    @property
    def places(self) -> np.ndarray:
        """Places in the frame's output of each plane's elements, (planes, pixels)."""
        pixels = np.arange(self.elements // self.planes) * (self.stride or self.planes)
        return np.asarray(self.offset + np.arange(self.planes)[:, None] + pixels)


@dataclass(frozen=True)
class Program:
    """A program for the whole chip. Cores' init threads get a token when a file starts."""

    name: str
    isa_version: str
    arch_name: str
    word_bits: int  # of the data memory
    pes: int
    accumulators: int  # of a core: rows that fit
    numerics: Numerics
    cores: tuple[CoreImage, ...]
    input: InputPort
    outputs: tuple[OutputPort, ...]
    init_threads: tuple[tuple[int, int], ...]  # (core, thread)
    labels: tuple[str, ...] = ()
    output_exponent: int = 0  # value = integer * 2**output_exponent
    hashes: dict[str, str] = field(default_factory=dict)  # network, arch
    # matrix name -> layer, and layer -> (dense MACs a frame)
    layer_of: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    external_words: int = 0  # of external memory that it may use; 0: it needs none
    external: tuple[Segment, ...] = ()  # contents at first, besides the matrices at home
    row_words: int = 0  # of a slice in a row of the data banks where they hold weights, else 0
