"""What the convolution stepper is told, and T33 to T36 and T43 to T46 without time."""

from dataclasses import dataclass, field

from stepper_storage import StepperConfig, ceil_div, column_beats, column_places, owned_rows

ALONE = StepperConfig(private_weight_memory=True)  # one PE with one lane
Update = tuple[int, int, int, int]  # filter, position, weight, activation


@dataclass(frozen=True)
class ConvCase:
    """A tile of a convolution: sizes, numbers, and the machine that computes it."""

    channels: int
    height: int
    width: int
    filters: int
    weight: list  # [filter][channel of its group][ky][kx]
    x: list  # [channel][y][x]
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    bias: list = field(default_factory=list)
    dataflow: str = "row"
    first: int = 0
    count: int | None = None  # None: all
    machine: StepperConfig = ALONE
    accumulators: int = 1024
    feeder_words: int = 1
    load: int = 0

    @property
    def out(self) -> tuple[int, int]:
        """H' and W' of T33."""
        top, left, bottom, right = self.padding
        rows = self.height + top + bottom - self.dilation[0] * (self.kernel[0] - 1) - 1
        columns = self.width + left + right - self.dilation[1] * (self.kernel[1] - 1) - 1
        return rows // self.stride[0] + 1, columns // self.stride[1] + 1

    @property
    def positions(self) -> list[int]:
        """The tile's positions, T34."""
        count = self.out[0] * self.out[1] - self.first if self.count is None else self.count
        return list(range(self.first, self.first + count))

    def places(self) -> list[tuple[int, int]]:
        """(ky, kx) in order."""
        return [(ky, kx) for ky in range(self.kernel[0]) for kx in range(self.kernel[1])]

    def pixel(self, position: int, place: tuple[int, int]) -> tuple[int, int] | None:
        """Where a place lies in the image, None outside, T33."""
        y, x = divmod(position, self.out[1])
        iy = y * self.stride[0] + place[0] * self.dilation[0] - self.padding[0]
        ix = x * self.stride[1] + place[1] * self.dilation[1] - self.padding[1]
        return (iy, ix) if 0 <= iy < self.height and 0 <= ix < self.width else None

    def in_group(self, row: int, channel: int) -> bool:
        """Whether a filter sees a channel."""
        return channel // (self.channels // self.groups) == row // (self.filters // self.groups)

    def stored_weight(self, row: int, channel: int, place: tuple[int, int]) -> int:
        """A weight of the matrix of T36."""
        if not self.in_group(row, channel):
            return 0
        return self.weight[row][channel % (self.channels // self.groups)][place[0]][place[1]]

    def columns(self) -> list[tuple[int, tuple[int, int]]]:
        """(channel, place) of every column, T36."""
        channels, places = range(self.channels), self.places()
        if self.dataflow == "row":
            return [(channel, place) for place in places for channel in channels]
        return [(channel, place) for channel in channels for place in places]

    @property
    def positions_a_group(self) -> int:
        """V x m of T43."""
        return self.machine.lanes * self.machine.macs_per_lane


@dataclass(frozen=True)
class StoredColumn:
    """A column as a PE sees it: its beats in `row`, and its entry places."""

    places: list  # (row or None, weight)
    beats: list  # lists of (row, weight)
    weights: int  # of the PE's filters that see the channel


def store(case: ConvCase, pe: int) -> list[StoredColumn]:
    """Return the columns of a PE's slice, T1 to T5 and T36."""
    config = case.machine
    rows = owned_rows(case.filters, config.pes, config.group, pe)
    stored, before = [], 0
    columns, span = case.columns(), config.index_span
    for number, (channel, _) in enumerate(columns):
        seen = [row for row in rows if case.in_group(row, channel)]
        held = seen if config.format == "dense" else rows
        begin = number // span * span
        stripe = [[case.stored_weight(r, *other) for r in held] for other in columns[begin:][:span]]
        places = column_places(config, held, stripe[number - begin], stripe)
        beats = [list(beat.entries) for beat in column_beats(config, before, places)]
        before += len(places)
        stored.append(StoredColumn(places, beats, len(seen)))
    return stored


@dataclass(frozen=True)
class Work:
    """What a queue entry makes a PE do: the updates of each cycle; and whether it is empty."""

    cycles: list  # lists of Update
    empty: bool


def padded(cycles: list, least: int) -> list:
    """Add cycles without updates, to have `least`."""
    return cycles + [[] for _ in range(least - len(cycles))]


def row_work(case: ConvCase, column: StoredColumn, position: int, activation: int) -> Work:
    """T42: the beats of a pushed column."""
    least = 1
    if case.machine.weights == "decompress":
        least = max(1, ceil_div(column.weights, case.machine.entries_per_beat))
    cycles = [
        [(row, position, weight, activation) for row, weight in beat] for beat in column.beats
    ]
    return Work(padded(cycles, least), not column.places)


def pixel_work(case: ConvCase, columns: list, channel: int, groups: list) -> Work:
    """T46: every entry of a channel at every group of the block."""
    taps = len(case.places())
    cycles, weights = [], 0
    of_channel = columns[channel * taps : (channel + 1) * taps]
    for place, column in zip(case.places(), of_channel, strict=True):
        weights += column.weights
        for row, weight in column.places:
            for group in groups:
                inside = [(p, case.pixel(p, place)) for p in group]
                cycles.append(
                    [(row, p, weight, case.x[channel][at[0]][at[1]])
                     for p, at in inside if at and row is not None]
                )  # fmt: skip
    least = len(groups) * weights if case.machine.weights == "decompress" else 0
    cycles = padded(cycles, least)
    return Work(padded(cycles, 1), not cycles)


def blocks(case: ConvCase, most_filters: int) -> list[list[list[int]]]:
    """Return the tile's positions by block and group, T43."""
    size, positions = case.positions_a_group, case.positions
    groups = [positions[at : at + size] for at in range(0, len(positions), size)]
    most = case.accumulators // size // most_filters
    count = ceil_div(len(groups), most)
    cut, at = [], 0
    for block in range(count):
        long = block < len(groups) % count
        cut.append(groups[at : at + len(groups) // count + long])
        at += len(cut[-1])
    return cut


def fetched_words(case: ConvCase, block: list[list[int]]) -> int:
    """Return the words that hold what a block needs of a channel, T45."""
    per_word = case.machine.operand_word_bits // case.machine.activation_bits
    at = {case.pixel(p, place) for group in block for p in group for place in case.places()}
    return len({(pixel[0] * case.width + pixel[1]) // per_word for pixel in at if pixel})
