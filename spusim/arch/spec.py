"""Frozen specifications of every unit: what an architecture file says, checked field by field.

Rules between fields live in `rules.py`; reading YAML lives in `load.py`.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from spusim.errors import SpusimError

WeightMode = Literal["dense", "decompress", "skip"]
ActivationMode = Literal["dense", "gate", "skip"]
FormatName = Literal["dense", "bitmap", "run_length", "pencil"]
Precision = Literal["4x8", "4x16", "8x8", "8x16", "16x8", "16x16"]


class ArchError(SpusimError):
    """An architecture file or setting that cannot be built."""


class Spec(BaseModel):
    """Base of all specs: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class QueueSpec(Spec):
    """A PE's activation queue."""

    depth: int = Field(8, ge=1, le=65536, description="columns a PE's queue holds")
    release: Literal["pop", "done"] = Field(
        "pop", description="a slot frees when its column is popped, or when it is done"
    )


class ScannerSpec(Spec):
    """The activation scanner, which finds the nonzero activations."""

    width: int = Field(4, ge=1, le=4096, description="activations examined a cycle")
    buffer_words: int = Field(
        512, ge=1, description="operand buffer, in data memory words (weights in data memory only)"
    )


class DecoderSpec(Spec):
    """A PE's sparse decoder."""

    entries_per_cycle: int = Field(8, ge=1, le=1024, description="stored entries decoded a cycle")


class WeightMemorySpec(Spec):
    """A weight memory private to each PE."""

    words: int = Field(ge=1, description="words per PE")
    word_bits: Literal[32, 64, 128, 256] = 64


class IndexMemorySpec(Spec):
    """A PE's memory for pointers and indices."""

    words: int = Field(512, ge=1, description="words per PE")
    word_bits: Literal[32, 64, 128, 256] = 64
    mode: Literal["resident", "preload"] = Field(
        "preload",
        description="resident: holds every matrix's pointers and indices; "
        "preload: they are copied from the weight bank before each product",
    )


class DataMemorySpec(Spec):
    """A core's data memory: single-port banks, consecutive words in consecutive banks."""

    banks: int = Field(8, ge=1, le=1024)
    words: int = Field(8192, ge=1, description="words per bank")
    word_bits: Literal[32, 64, 128, 256] = 64


class TableMemorySpec(Spec):
    """Memory of the look-up tables of the nonlinear functions."""

    banks: int = Field(4, ge=1, le=64)
    words: int = Field(2048, ge=1, description="words per bank")
    word_bits: Literal[8, 16, 32] = 16
    ports: int = Field(2, ge=1, le=4, description="reads per bank and cycle")


class InstructionMemorySpec(Spec):
    """Instruction memory of a core."""

    words: int = Field(4096, ge=1)


class SparseSpec(Spec):
    """What the sparse engine exploits, and how matrices are stored."""

    weights: WeightMode = "skip"
    activations: ActivationMode = "skip"
    format: FormatName | Literal["auto"] = "pencil"
    formats: tuple[FormatName, ...] = Field(
        ("dense", "bitmap", "pencil"), description="formats the decoder understands"
    )
    pencil: int = Field(8, ge=1, le=64, description="output rows of a pencil")
    index_bits: int = Field(4, ge=1, le=16, description="relative index of run_length")
    pointer_bits: int = Field(16, ge=8, le=32, description="column pointer, where stored")


class PipelineSpec(Spec):
    """Depths of the pipelines, in cycles."""

    mac_stages: int = Field(3, ge=1, le=64)
    vector_stages: int = Field(3, ge=1, le=64)
    dispatch_cycles: int = Field(1, ge=1, le=64, description="ready queue to first issue")


class VectorSpec(Spec):
    """The vector unit."""

    lanes: int = Field(8, ge=1, le=1024, description="elements a beat")


class SequencerSpec(Spec):
    """Thread sequencing."""

    threads: int = Field(64, ge=1, le=64, description="scoreboard entries")
    ready_queue: int = Field(64, ge=1, le=64)
    contexts: int = Field(2, ge=1, le=64, description="threads in flight at once")
    descriptors: int = Field(64, ge=1, le=256, description="matrix descriptors")


class CoreSpec(Spec):
    """One core."""

    pes: int = Field(8, ge=1, le=1024)
    lanes: int = Field(8, ge=1, le=1024, description="MAC lanes per PE")
    precisions: dict[Precision, int] = Field(
        description="MACs a lane does in a cycle at weight x activation bits"
    )
    layer_weight_bits: Literal[4, 8, 16] = Field(8, description="default of `spusim layer`")
    layer_activation_bits: Literal[8, 16] = Field(16, description="default of `spusim layer`")
    accumulators: int = Field(128, ge=1, description="accumulators per PE")
    queue: QueueSpec = QueueSpec()
    scanner: ScannerSpec = ScannerSpec()
    decoder: DecoderSpec = DecoderSpec()
    weight_memory: WeightMemorySpec | None = Field(
        None, description="private to each PE; null: the data banks hold the weights"
    )
    index_memory: IndexMemorySpec = IndexMemorySpec()
    data_memory: DataMemorySpec = DataMemorySpec()
    table_memory: TableMemorySpec = TableMemorySpec()
    instruction_memory: InstructionMemorySpec = InstructionMemorySpec()
    sparse: SparseSpec = SparseSpec()
    ports: Literal["reserved", "shared"] = "reserved"
    hazard: Literal["bypass", "stall"] = "bypass"
    pipeline: PipelineSpec = PipelineSpec()
    vector: VectorSpec = VectorSpec()
    sequencer: SequencerSpec = SequencerSpec()


class NumericsSpec(Spec):
    """Arithmetic; all that values depend on besides network and stream."""

    accumulator_bits: int = Field(32, ge=8, le=48)
    overflow: Literal["saturate", "wrap"] = Field("saturate", description="of the accumulators")
    rounding: Literal["floor", "half_up", "half_even"] = "half_up"
    requantize_overflow: Literal["saturate", "wrap"] = "saturate"
    table_address_bits: int = Field(8, ge=2, le=15)
    table_interpolate: bool = True


class LinkSpec(Spec):
    """Router between cores, and the host link."""

    hop_cycles: int = Field(2, ge=1, le=1024, description="latency of the router")
    channels: int = Field(4, ge=1, le=16, description="receive channels per core")
    channel_words: int = Field(256, ge=1, description="words a receive channel holds")
    host_cycles_per_word: int = Field(16, ge=1, le=65536)


class Arch(Spec):
    """An SPU: what `configs/arch/*.yaml` describes."""

    name: str
    description: str = ""
    cores: int = Field(1, ge=1, le=15)
    clock_mhz: float = Field(gt=0)
    technology: str = "cacti22"
    core: CoreSpec
    numerics: NumericsSpec = NumericsSpec()
    link: LinkSpec = LinkSpec()
