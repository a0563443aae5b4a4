"""Rules on engines: what their dataflow, ports and banks ask of one another."""

from spusim.arch.rule import Rule
from spusim.arch.spec import Arch

MOST_PARTS = 10**6  # of a byte that a bandwidth may tell


def conv_complaint(arch: Arch) -> str:
    """Say why an architecture cannot convolve, and what to do; "" if it can."""
    core = arch.core
    if core.weight_memory and core.ports == "reserved" and core.hazard == "bypass":
        return ""
    return (
        f"{arch.name} cannot convolve: that takes core.weight_memory, core.ports: reserved and "
        "core.hazard: bypass; set them, or choose row64 or smartskip"
    )


def _nearest_divisors(arch: Arch) -> str:
    """Name the divisors of the bank count on either side of the PE count."""
    banks, pes = arch.core.data_memory.banks, arch.core.pes
    divisors = [d for d in range(1, banks + 1) if banks % d == 0]
    below = [d for d in divisors if d < pes][-1:]
    above = [d for d in divisors if d > pes][:1]
    return f"try {' or '.join(str(d) for d in below + above)}"


def _bytes_per_cycle(arch: Arch) -> float:
    return arch.external_memory.bytes_per_cycle if arch.external_memory else 0.0


def _beat_positions(arch: Arch) -> int:
    return arch.core.lanes * max(arch.core.precisions.values())


ENGINE_RULES: tuple[Rule, ...] = (
    Rule(
        "pixel_engine",
        ("core.dataflow", "core.weight_memory", "core.ports", "core.hazard"),
        "Dataflow `pixel` needs `core.weight_memory`, `ports: reserved` and `hazard: bypass`.",
        lambda a: a.core.dataflow == "row" or not conv_complaint(a),
        lambda a: f"core.dataflow (=pixel): {conv_complaint(a).split(';')[0]}",
        lambda a: "set them, or core.dataflow to row",
    ),
    Rule(
        "external_ports",
        ("core.ports", "external_memory"),
        "With `external_memory` ports are reserved: transfers take no part in the arbitration of "
        "shared ones.",
        lambda a: a.external_memory is None or a.core.ports == "reserved",
        lambda a: "core.ports (=shared) cannot go with external_memory (T57)",
        lambda a: "set core.ports to reserved, or external_memory to null",
    ),
    Rule(
        "external_bandwidth",
        ("external_memory.bytes_per_cycle",),
        "A bandwidth has at most six decimals, so that cycles are counted exactly.",
        lambda a: (
            a.external_memory is None or a.external_memory.bandwidth.denominator <= MOST_PARTS
        ),
        lambda a: (
            f"external_memory.bytes_per_cycle (={_bytes_per_cycle(a):g}) must have at most six "
            "decimals (T55)"
        ),
        lambda a: f"try {max(round(_bytes_per_cycle(a), 6), 1e-6):g}",
    ),
    Rule(
        "feeder_banks",
        ("core.feeder.words", "core.data_memory.banks"),
        "The feeder fetches each of its words from another single-port bank.",
        lambda a: a.core.feeder.words <= a.core.data_memory.banks,
        lambda a: f"core.feeder.words (={a.core.feeder.words}) are fetched from as many banks",
        lambda a: f"try {a.core.data_memory.banks}",
    ),
    Rule(
        "pixel_accumulators",
        ("core.accumulators", "core.lanes", "core.precisions"),
        "Dataflow `pixel` has accumulators for at least one filter at the positions of a beat.",
        lambda a: a.core.dataflow == "row" or _beat_positions(a) <= a.core.accumulators,
        lambda a: (
            f"core.accumulators (={a.core.accumulators}) must hold one filter at the "
            f"{_beat_positions(a)} positions that lanes and MACs a lane work on in a beat"
        ),
        lambda a: f"try {_beat_positions(a)}",
    ),
    Rule(
        "pes_divide_banks",
        ("core.pes", "core.data_memory.banks"),
        "Without `core.weight_memory` the data banks are the weight banks, shared out evenly: "
        "the number of PEs divides the number of banks.",
        lambda a: a.core.weight_memory is not None or a.core.data_memory.banks % a.core.pes == 0,
        lambda a: (
            f"core.pes (={a.core.pes}) must divide core.data_memory.banks "
            f"(={a.core.data_memory.banks}), which are its weight banks"
        ),
        _nearest_divisors,
    ),
    Rule(
        "resident_index",
        ("core.index_memory.mode", "core.weight_memory", "core.sparse.weights"),
        "Resident pointers and indices ask for private weight memories, unless weights are "
        "stored dense and have none.",
        lambda a: (
            a.core.index_memory.mode == "preload"
            or a.core.weight_memory is not None
            or a.core.sparse.weights == "dense"
        ),
        lambda a: (
            "core.index_memory.mode (=resident) needs core.weight_memory (=null): the data "
            "banks, which then hold the weights, are no place for resident pointers"
        ),
        lambda a: "set core.index_memory.mode to preload, or give core.weight_memory its words",
    ),
)
