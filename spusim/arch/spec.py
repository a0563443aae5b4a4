"""Frozen specifications of every unit: what an architecture file says, checked field by field.

Rules between fields live in `rules.py`; reading YAML lives in `load.py`.
"""

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from spusim.errors import SpusimError

WeightMode = Literal["dense", "decompress", "skip"]
ActivationMode = Literal["dense", "gate", "skip"]
FormatName = Literal["dense", "bitmap", "run_length", "pencil", "block", "n_of_m"]
# weight x activation bits; c8 and c16: weights are indices into a codebook of such entries
Precision = Literal[
    "1x1", "1x4", "1x8", "1x16", "2x1", "2x4", "2x8", "2x16", "4x1", "4x4", "4x8", "4x16",
    "8x1", "8x4", "8x8", "8x16", "16x1", "16x4", "16x8", "16x16",
    "c8x1", "c8x4", "c8x8", "c8x16", "c16x1", "c16x4", "c16x8", "c16x16",
]  # fmt: skip
NARROW_BIAS_BITS, WIDE_BIAS_BITS = 32, 48  # of a stored bias; wide for wider accumulators
MacsPerLane = Annotated[int, Field(ge=1, le=64)]


class ArchError(SpusimError):
    """An architecture file or setting that cannot be built."""


class Spec(BaseModel):
    """Base of all specs: frozen; unknown keys, infinities and NaN are refused."""

    # built when it is first used, which most are only inside others
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True
    )


class QueueSpec(Spec):
    """A PE's activation queue."""

    depth: int = Field(default=8, ge=1, le=65536, description="columns a PE's queue holds")
    release: Literal["pop", "done"] = Field(
        default="pop", description="a slot frees when its column is popped, or when it is done"
    )


class ScannerSpec(Spec):
    """The activation scanner, which finds the nonzero activations."""

    width: int = Field(default=4, ge=1, le=4096, description="activations examined a cycle")
    buffer_words: int = Field(
        default=512,
        ge=1,
        description="operand buffer, in data memory words (weights in data memory only)",
    )


class FeederSpec(Spec):
    """What brings activations to the queues in dataflow `pixel`."""

    words: int = Field(default=1, ge=1, le=64, description="data memory words fetched a cycle")


class DecoderSpec(Spec):
    """A PE's sparse decoder."""

    entries_per_cycle: int = Field(
        default=8, ge=1, le=1024, description="stored entries decoded a cycle"
    )
    codebooks: int = Field(
        default=0, ge=0, le=62, description="codebooks of 16 entries that its registers hold"
    )


class WeightMemorySpec(Spec):
    """A weight memory private to each PE."""

    words: int = Field(ge=1, description="words per PE")
    word_bits: Literal[32, 64, 128, 256] = Field(default=64, description="bits of a word")


class IndexMemorySpec(Spec):
    """A PE's memory for pointers and indices."""

    words: int = Field(default=512, ge=1, description="words per PE")
    word_bits: Literal[32, 64, 128, 256] = Field(default=64, description="bits of a word")
    mode: Literal["resident", "preload"] = Field(
        default="preload",
        description="resident: holds every matrix's pointers and indices; "
        "preload: they are copied from the weight bank before each product",
    )


class DataMemorySpec(Spec):
    """A core's data memory: single-port banks, consecutive words in consecutive banks."""

    banks: int = Field(default=8, ge=1, le=64, description="word a is in bank a mod banks")
    words: int = Field(default=8192, ge=1, description="words per bank")
    word_bits: Literal[32, 64, 128, 256] = Field(default=64, description="bits of a word")


class TableMemorySpec(Spec):
    """Memory of the look-up tables of the nonlinear functions."""

    banks: int = Field(default=4, ge=1, le=64, description="banks, read in parallel")
    words: int = Field(default=2048, ge=1, description="words per bank")
    word_bits: Literal[8, 16, 32] = Field(default=16, description="bits of a table entry")
    ports: int = Field(default=2, ge=1, le=4, description="reads per bank and cycle")


class InstructionMemorySpec(Spec):
    """Instruction memory of a core."""

    words: int = Field(default=4096, ge=1, description="64-bit instructions")


class BlockSpec(Spec):
    """Blocks of weights kept or dropped together."""

    rows: int = Field(default=4, ge=1, le=64, description="consecutive output rows of a block")
    columns: int = Field(default=4, ge=1, le=255, description="consecutive columns of a block")


class NOfMSpec(Spec):
    """Groups of weights of which a fixed number is stored."""

    kept: int = Field(default=2, ge=1, le=64, description="N: weights stored of a group")
    group: int = Field(default=4, ge=1, le=64, description="M: consecutive output rows of a column")


class SparseSpec(Spec):
    """What the sparse engine exploits, and how matrices are stored."""

    weights: WeightMode = Field(
        default="skip", description="stored dense; stored compressed, computed dense; or skipped"
    )
    activations: ActivationMode = Field(
        default="skip",
        description="dense: all are multiplied; gate: zeros save energy; skip: and time",
    )
    format: Literal["dense", "bitmap", "run_length", "pencil", "block", "n_of_m", "auto"] = Field(
        default="pencil", description="how matrices are stored; auto: the smallest, for each layer"
    )
    formats: tuple[FormatName, ...] = Field(
        default=("dense", "bitmap", "pencil"),
        min_length=1,
        description="formats the decoder understands",
    )
    pencil: int = Field(default=8, ge=1, le=64, description="output rows of a pencil")
    block: BlockSpec = Field(default_factory=BlockSpec)
    n_of_m: NOfMSpec = Field(default_factory=NOfMSpec)
    index_bits: int = Field(default=4, ge=1, le=16, description="relative index of run_length")
    pointer_bits: int = Field(default=16, ge=8, le=32, description="column pointer, where stored")

    def grouping(self, form: str) -> tuple[int, int]:
        """Return a format's rows that belong together, and a block's columns or the N of N:M."""
        return {
            "pencil": (self.pencil, 0),
            "block": (self.block.rows, self.block.columns),
            "n_of_m": (self.n_of_m.group, self.n_of_m.kept),
        }.get(form, (1, 0))


class PipelineSpec(Spec):
    """Depths of the pipelines, in cycles."""

    mac_stages: int = Field(default=3, ge=1, le=64, description="multiply to accumulator write")
    vector_stages: int = Field(default=3, ge=1, le=64, description="last beat to completion")
    dispatch_cycles: int = Field(default=1, ge=1, le=64, description="ready queue to first issue")


class VectorSpec(Spec):
    """The vector unit."""

    lanes: int = Field(default=8, ge=1, le=1024, description="elements a beat")


class SequencerSpec(Spec):
    """Thread sequencing."""

    threads: int = Field(default=64, ge=1, le=64, description="scoreboard entries")
    ready_queue: int = Field(default=64, ge=1, le=64, description="armed threads that can wait")
    contexts: int = Field(default=2, ge=1, le=64, description="threads in flight at once")
    descriptors: int = Field(default=64, ge=1, le=256, description="matrix descriptors")


class CoreSpec(Spec):
    """One core."""

    pes: int = Field(default=8, ge=1, le=1024, description="processing elements")
    lanes: int = Field(default=8, ge=1, le=1024, description="MAC lanes per PE")
    precisions: dict[Precision, MacsPerLane] = Field(
        min_length=1, description="MACs a lane does in a cycle at weight x activation bits"
    )
    layer_weight_bits: Literal[1, 2, 4, 8, 16] = Field(
        default=8, description="default of `spusim layer`"
    )
    layer_activation_bits: Literal[1, 4, 8, 16] = Field(
        default=16, description="default of `spusim layer`"
    )
    accumulators: int = Field(default=128, ge=1, description="accumulators per PE")
    queue: QueueSpec = Field(default_factory=QueueSpec)
    scanner: ScannerSpec = Field(default_factory=ScannerSpec)
    dataflow: Literal["row", "pixel"] = Field(
        default="row",
        description="of convolutions: positions as sparse products, or lanes own positions",
    )
    feeder: FeederSpec = Field(default_factory=FeederSpec)
    decoder: DecoderSpec = Field(default_factory=DecoderSpec)
    weight_memory: WeightMemorySpec | None = Field(
        default=None, description="private to each PE; null: the data banks hold the weights"
    )
    index_memory: IndexMemorySpec = Field(default_factory=IndexMemorySpec)
    data_memory: DataMemorySpec = Field(default_factory=DataMemorySpec)
    table_memory: TableMemorySpec = Field(default_factory=TableMemorySpec)
    instruction_memory: InstructionMemorySpec = Field(default_factory=InstructionMemorySpec)
    sparse: SparseSpec = Field(default_factory=SparseSpec)
    ports: Literal["reserved", "shared"] = Field(
        default="reserved",
        description="instructions hold their banks, or units contend every cycle",
    )
    hazard: Literal["bypass", "stall"] = Field(
        default="bypass", description="what updating an accumulator twice in a row costs"
    )
    pipeline: PipelineSpec = Field(default_factory=PipelineSpec)
    vector: VectorSpec = Field(default_factory=VectorSpec)
    sequencer: SequencerSpec = Field(default_factory=SequencerSpec)

    @property
    def weight_word_bits(self) -> int:
        """Bits of a word of the memory that holds the weights."""
        return (self.weight_memory or self.data_memory).word_bits

    def macs_per_lane(self, precision: str) -> int:
        """Return the MACs that a lane does in a cycle; raises KeyError for what it does not do."""
        return {str(name): macs for name, macs in self.precisions.items()}[precision]


class PartialSumsSpec(Spec):
    """Requantisation of partial sums on the way."""

    every: int = Field(
        default=0, ge=0, le=1_048_576, description="dense positions between them; 0: none"
    )
    shift: int = Field(default=0, ge=0, le=46, description="bits dropped from a partial sum")
    bits: int = Field(default=16, ge=2, le=48, description="bits that are kept of what is left")
    rounding: Literal["floor", "half_up", "half_even"] = Field(
        default="half_up", description="of the bits dropped"
    )


class NumericsSpec(Spec):
    """Arithmetic; all that values depend on besides network and stream."""

    accumulator_bits: int = Field(default=32, ge=8, le=48, description="width of an accumulator")
    overflow: Literal["saturate", "wrap", "nullify"] = Field(
        default="saturate",
        description="of the accumulators; nullify: what is out of range becomes zero",
    )
    rounding: Literal["floor", "half_up", "half_even", "stochastic"] = Field(
        default="half_up", description="of right shifts"
    )
    seed: int = Field(default=0, ge=0, le=(1 << 32) - 1, description="of stochastic rounding")
    requantize_overflow: Literal["saturate", "wrap", "nullify"] = Field(
        default="saturate", description="of results written to memory"
    )
    partial_sums: PartialSumsSpec = Field(default_factory=PartialSumsSpec)
    table_address_bits: int = Field(default=8, ge=2, le=15, description="log2 of a table's entries")
    table_interpolate: bool = Field(
        default=True, description="linear interpolation between entries"
    )


class LinkSpec(Spec):
    """Router between cores, and the host link."""

    hop_cycles: int = Field(default=2, ge=1, le=1024, description="latency of the router")
    channels: int = Field(default=4, ge=1, le=16, description="receive channels per core")
    channel_words: int = Field(default=256, ge=1, description="words a receive channel holds")
    host_cycles_per_word: int = Field(default=16, ge=1, le=65536, description="of the host link")


class ExternalMemorySpec(Spec):
    """External memory, one for all cores, and what the cores' dma units reach it by."""

    words: int = Field(ge=1, le=1 << 24, description="words, as wide as data memory's")
    bytes_per_cycle: float = Field(
        gt=0, le=65536, description="bandwidth; a decimal fraction is taken exactly"
    )
    latency_cycles: int = Field(ge=0, le=1 << 20, description="of every transfer")
    data_port: Literal["banks", "own"] = Field(
        default="banks",
        description="transfers hold their data banks, or every bank has a port for them",
    )
    pj_per_bit: float | None = Field(
        default=None, gt=0, description="energy of a bit moved; null: the technology table's"
    )

    @property
    def bandwidth(self) -> Fraction:
        """Bytes a cycle, as the decimal fraction that was written."""
        return Fraction(str(self.bytes_per_cycle))


class Arch(Spec):
    """An SPU: what `configs/arch/*.yaml` describes."""

    name: str = Field(min_length=1, description="what results call it; else the file's name")
    description: str = Field(default="", description="one sentence for people")
    cores: int = Field(default=1, ge=1, le=15, description="cores on the chip")
    clock_mhz: float = Field(gt=0, description="the one clock")
    technology: str = Field(
        default="cacti22",
        min_length=1,
        description="energy and area: a shipped table's name or a path",
    )
    core: CoreSpec
    numerics: NumericsSpec = Field(default_factory=NumericsSpec)
    link: LinkSpec = Field(default_factory=LinkSpec)
    external_memory: ExternalMemorySpec | None = Field(
        default=None, description="what programs stream from and to; null: there is none"
    )

    @property
    def bias_bits(self) -> int:
        """Bits in which a bias is stored; the wide ones are as wide as a weight word at most."""
        wide = self.numerics.accumulator_bits > NARROW_BIAS_BITS
        return min(WIDE_BIAS_BITS, self.core.weight_word_bits) if wide else NARROW_BIAS_BITS
