"""What the naive stepper is told, and how T1 to T6 store a matrix: plain integers and lists."""

from dataclasses import dataclass

NO_ROW = None  # an entry place of a short pencil, block or N:M group that no row fills


@dataclass(frozen=True)
class StepperConfig:
    """All that the sparse engine's time and values depend on besides matrix and operand."""

    format: str = "dense"  # dense, bitmap, run_length, pencil, block, n_of_m
    pes: int = 1
    lanes: int = 1
    macs_per_lane: int = 1
    word_bits: int = 32  # of the weight memory
    weight_bits: int = 8
    activation_bits: int = 8
    group: int = 1  # rows of a pencil or block, the M of N:M; 1 for the other formats
    extent: int = 0  # columns of a block, the N of N:M; 0 for the other formats
    index_bits: int = 4
    pointer_bits: int = 0
    index_word_bits: int = 32  # of the index memory
    preload: bool = False
    private_weight_memory: bool = False
    banks: int = 1  # of the data memory
    data_word_bits: int | None = None  # None: as word_bits
    entries_per_cycle: int = 1
    scanner_width: int = 1
    queue_depth: int = 1
    release: str = "pop"  # pop, done
    hazard: str = "bypass"  # bypass, stall
    mac_stages: int = 1
    weights: str = "skip"  # dense, decompress, skip
    activations: str = "skip"  # dense, gate, skip
    accumulator_bits: int = 32
    overflow: str = "saturate"  # saturate, wrap, nullify
    partial_every: int = 0  # dense positions between requantisations of sums; 0: none
    partial_shift: int = 0
    partial_bits: int = 16
    partial_rounding: str = "half_up"
    position: int = 0  # dense position of column 0
    bias_bits: int = 0  # 0: the matrix is stored without a bias
    operand_address: int = 0  # word address in the data memory
    ports: str = "reserved"  # reserved, shared

    def __post_init__(self) -> None:
        """Refuse what no machine could be built from."""
        if not self.private_weight_memory and self.banks % self.pes:
            raise ValueError(f"banks (={self.banks}) must be a multiple of pes (={self.pes}), T3")
        if self.weights == "dense" and self.format != "dense":
            raise ValueError(f"weights: dense stores the format dense, not {self.format}, T6")
        if self.preload and self.index_word_bits != self.word_bits:
            raise ValueError("preload needs index words as wide as weight words, T4")
        if self.format not in ("pencil", "block", "n_of_m") and self.group != 1:
            raise ValueError(f"group (={self.group}) must be 1 in format {self.format}, T1")

    @property
    def operand_word_bits(self) -> int:
        """Width of a data memory word."""
        return self.data_word_bits or self.word_bits

    @property
    def pointers(self) -> bool:
        """Whether columns have pointers where these are stored, T4."""
        return self.format not in ("dense", "n_of_m")

    @property
    def index_span(self) -> int:
        """Columns that share a pointer and index bits, T4."""
        return self.extent if self.format == "block" else 1

    @property
    def entry_bits(self) -> int:
        """Width of a stored entry, T2."""
        if self.format == "run_length":
            return self.index_bits + self.weight_bits
        return self.weight_bits

    @property
    def entries_per_beat(self) -> int:
        """The E of T5."""
        return min(self.entries_per_cycle, self.lanes * self.macs_per_lane)


@dataclass(frozen=True)
class Beat:
    """One cycle of a PE's work: the slice word it reads, if any, and the entries it multiplies."""

    word: int | None  # counted from the first word of entries
    entries: tuple[tuple[int, int], ...]  # (row, weight)


@dataclass(frozen=True)
class Column:
    """A column as one PE sees it."""

    beats: tuple[Beat, ...]
    has_entries: bool
    multiplications: int
    index_reads: int = 0  # index memory words that popping it reads


@dataclass(frozen=True)
class Slice:
    """What one PE owns of a matrix, T1 to T6."""

    rows: tuple[int, ...]
    columns: tuple[Column, ...]
    index_words: int  # weight memory words in front of the slice; 0 unless `preload`
    bias_words: int
    entry_words: int

    @property
    def first_entry_word(self) -> int:
        """The word of the slice, counted from its base, in which its entries start."""
        return self.index_words + self.bias_words


def ceil_div(amount: int, size: int) -> int:
    """Return amount / size, rounded up."""
    return (amount + size - 1) // size


def words_for(items: int, item_bits: int, word_bits: int) -> int:
    """Return the words that hold items of which none straddles two words."""
    if items == 0 or item_bits == 0:
        return 0
    return ceil_div(items, word_bits // item_bits)


def owned_rows(rows: int, pes: int, group: int, pe: int) -> list[int]:
    """Return the rows of a PE's slice in ascending order, T1."""
    return [row for row in range(rows) if (row // group) % pes == pe]


def dense_places(rows: list[int], values: list[int]) -> list[tuple[int | None, int]]:
    """Every weight of the slice is an entry."""
    return list(zip(rows, values, strict=True))


def bitmap_places(rows: list[int], values: list[int]) -> list[tuple[int | None, int]]:
    """Every nonzero weight is an entry."""
    return [(row, value) for row, value in zip(rows, values, strict=True) if value != 0]


def run_length_places(
    rows: list[int], values: list[int], index_bits: int
) -> list[tuple[int | None, int]]:
    """Every nonzero weight is an entry, and the last zero of every run too long for an index."""
    places: list[tuple[int | None, int]] = []
    longest_run = 2**index_bits - 1
    run = 0
    pending: list[int] = []  # rows of padding zeros that exist only if a nonzero follows
    for row, value in zip(rows, values, strict=True):
        if value != 0:
            places.extend((padding_row, 0) for padding_row in pending)
            places.append((row, value))
            pending = []
            run = 0
        elif run == longest_run:
            pending.append(row)
            run = 0
        else:
            run += 1
    return places


def pencil_places(rows: list[int], values: list[int], group: int) -> list[tuple[int | None, int]]:
    """Every weight of a pencil with a nonzero is an entry; a short one takes full space."""
    places: list[tuple[int | None, int]] = []
    for first in range(0, len(rows), group):
        pencil = list(zip(rows, values, strict=True))[first : first + group]
        if any(value != 0 for _, value in pencil):
            places.extend(pencil)
            places.extend((NO_ROW, 0) for _ in range(group - len(pencil)))
    return places


def block_places(
    rows: list[int], values: list[int], stripe: list[list[int]], group: int
) -> list[tuple[int | None, int]]:
    """Every weight of a column of a block with a nonzero; stripe: all columns of its blocks."""
    places: list[tuple[int | None, int]] = []
    for first in range(0, len(rows), group):
        if any(any(column[first : first + group]) for column in stripe):
            own = list(zip(rows, values, strict=True))[first : first + group]
            places.extend(own)
            places.extend((NO_ROW, 0) for _ in range(group - len(own)))
    return places


def n_of_m_places(
    rows: list[int], values: list[int], kept: int, group: int
) -> list[tuple[int | None, int]]:
    """Nonzero weights of every group, and zeros from its top as long as there are fewer."""
    places: list[tuple[int | None, int]] = []
    for first in range(0, len(rows), group):
        own: list[tuple[int | None, int]] = [
            (rows[k], values[k]) if k < len(rows) else (NO_ROW, 0)
            for k in range(first, first + group)
        ]
        spare = kept - sum(1 for _, value in own if value != 0)
        if spare < 0:
            raise ValueError(f"rows from {rows[first]} on hold more than {kept} nonzero weights")
        for row, value in own:
            if value != 0:
                places.append((row, value))
            elif spare > 0:
                places.append((row, value))
                spare -= 1
    return places


def column_places(
    config: StepperConfig, rows: list[int], values: list[int], stripe: list[list[int]]
) -> list[tuple[int | None, int]]:
    """Return the entry places (row or NO_ROW, weight) of one column of a slice, T2.

    stripe: the values of all columns of its blocks, itself among them.
    """
    if config.format == "dense":
        return dense_places(rows, values)
    if config.format == "bitmap":
        return bitmap_places(rows, values)
    if config.format == "run_length":
        return run_length_places(rows, values, config.index_bits)
    if config.format == "pencil":
        return pencil_places(rows, values, config.group)
    if config.format == "block":
        return block_places(rows, values, stripe, config.group)
    if config.format == "n_of_m":
        return n_of_m_places(rows, values, config.extent, config.group)
    raise ValueError(f"format (={config.format}) is none that T2 defines")


def column_beats(
    config: StepperConfig, first_place: int, places: list[tuple[int | None, int]]
) -> list[Beat]:
    """Split a column's places by word, and each word's by E, T5."""
    entries_per_word = config.word_bits // config.entry_bits
    by_word: dict[int, list[tuple[int | None, int]]] = {}
    for offset, place in enumerate(places):
        by_word.setdefault((first_place + offset) // entries_per_word, []).append(place)
    beats = []
    for word, held in by_word.items():
        for start in range(0, len(held), config.entries_per_beat):
            in_beat = held[start : start + config.entries_per_beat]
            entries = tuple((row, value) for row, value in in_beat if row is not NO_ROW)
            beats.append(Beat(word if start == 0 else None, entries))
    return beats


def build_column(
    config: StepperConfig,
    number: int,
    first_place: int,
    places: list[tuple[int | None, int]],
    rows: int,
) -> Column:
    """Return a column's beats, with those of `decompress` and of an empty column, T5, T6."""
    beats = column_beats(config, first_place, places)
    cost = max(1, len(beats))
    if config.weights == "decompress":
        cost = max(cost, ceil_div(rows, config.entries_per_beat))
    beats.extend(Beat(None, ()) for _ in range(cost - len(beats)))
    stored = sum(1 for row, _ in places if row is not NO_ROW)
    multiplications = rows if config.weights == "decompress" else stored
    reads = index_reads(config, number, rows)
    return Column(tuple(beats), bool(places), multiplications, reads)


def column_flags(config: StepperConfig, rows: int) -> int:
    """Return the index bits that columns of a slice with that many rows share, T4."""
    groups = ceil_div(rows, config.group)
    return {
        "dense": 0,
        "run_length": 0,  # beside the weights, inside the entries
        "bitmap": rows,
        "pencil": groups,
        "block": groups,
        "n_of_m": groups * config.extent * (config.group - 1).bit_length(),
    }[config.format]


def index_words(config: StepperConfig, rows: int, columns: int) -> int:
    """Return the words of pointers, then of indices, of a slice with that many rows, T4."""
    spans = ceil_div(columns, config.index_span)
    pointers = spans + 1 if config.pointers else 0  # the last one ends the last column
    return words_for(pointers, config.pointer_bits, config.index_word_bits) + ceil_div(
        column_flags(config, rows) * spans, config.index_word_bits
    )


def index_reads(config: StepperConfig, column: int, rows: int) -> int:
    """Return the words that a pop reads: two pointers where they are stored, and indices, T4."""
    pointers = 2 if config.pointer_bits and config.pointers else 0
    flags = column_flags(config, rows)
    if not flags:
        return pointers
    span = column // config.index_span
    first = span * flags // config.index_word_bits
    last = ((span + 1) * flags - 1) // config.index_word_bits
    return pointers + last - first + 1


def build_slice(config: StepperConfig, weight: list[list[int]], columns: int, pe: int) -> Slice:
    """Return the slice of a PE. weight[row][column]."""
    rows = owned_rows(len(weight), config.pes, config.group, pe)
    built = []
    first_place = 0
    for column in range(columns):
        begin = column // config.index_span * config.index_span
        shared = range(begin, min(begin + config.index_span, columns))
        stripe = [[weight[row][other] for row in rows] for other in shared]
        places = column_places(config, rows, stripe[column - begin], stripe)
        built.append(build_column(config, column, first_place, places, len(rows)))
        first_place += len(places)
    return Slice(
        rows=tuple(rows),
        columns=tuple(built),
        index_words=index_words(config, len(rows), columns) if config.preload else 0,
        bias_words=words_for(len(rows), config.bias_bits, config.word_bits),
        entry_words=words_for(first_place, config.entry_bits, config.word_bits),
    )
