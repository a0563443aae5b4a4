"""Rules on numbers: widths that products, partial sums and codebooks ask for."""

from spusim.arch.precisions import codebook_entry_bits, operand_bits
from spusim.arch.rule import Rule
from spusim.arch.spec import Arch


def _widest_product(arch: Arch) -> tuple[int, str]:
    return max((sum(operand_bits(p)), p) for p in arch.core.precisions)


def _partial_sum_bits(arch: Arch) -> int:
    return arch.numerics.partial_sums.bits + arch.numerics.partial_sums.shift


def _layer_precision(arch: Arch) -> str:
    return f"{arch.core.layer_weight_bits}x{arch.core.layer_activation_bits}"


NUMBER_RULES: tuple[Rule, ...] = (
    Rule(
        "product_fits",
        ("numerics.accumulator_bits", "core.precisions"),
        "An accumulator is at least as wide as the widest product: weight bits + activation bits.",
        lambda a: a.numerics.accumulator_bits >= _widest_product(a)[0],
        lambda a: (
            f"numerics.accumulator_bits (={a.numerics.accumulator_bits}) must hold a product of "
            f"core.precisions: {_widest_product(a)[1]} makes {_widest_product(a)[0]} bits"
        ),
        lambda a: f"try {_widest_product(a)[0]}, or drop {_widest_product(a)[1]}",
    ),
    Rule(
        "partial_sums_fit",
        (
            "numerics.partial_sums.bits",
            "numerics.partial_sums.shift",
            "numerics.accumulator_bits",
        ),
        "A requantised partial sum, shifted back, fits its accumulator.",
        lambda a: (
            not a.numerics.partial_sums.every or _partial_sum_bits(a) <= a.numerics.accumulator_bits
        ),
        lambda a: (
            f"numerics.partial_sums: bits (={a.numerics.partial_sums.bits}) + shift "
            f"(={a.numerics.partial_sums.shift}) must be at most numerics.accumulator_bits "
            f"(={a.numerics.accumulator_bits}), in which the sum goes on"
        ),
        lambda a: (
            f"try bits {a.numerics.accumulator_bits - a.numerics.partial_sums.shift}"
            if a.numerics.accumulator_bits - a.numerics.partial_sums.shift >= 2
            else f"try shift {max(0, a.numerics.accumulator_bits - a.numerics.partial_sums.bits)}"
        ),
    ),
    Rule(
        "layer_precision",
        ("core.layer_weight_bits", "core.layer_activation_bits", "core.precisions"),
        "The default precision of `spusim layer` is one that the lanes compute.",
        lambda a: _layer_precision(a) in a.core.precisions,
        lambda a: (
            f"core.layer_weight_bits x core.layer_activation_bits (={_layer_precision(a)}) "
            f"must be one of core.precisions (={', '.join(a.core.precisions)})"
        ),
        lambda a: "try weight and activation bits from that list, or add the precision",
    ),
    Rule(
        "codebook_registers",
        ("core.decoder.codebooks", "core.precisions"),
        "Decoders that look weights up in a codebook have registers for at least one.",
        lambda a: a.core.decoder.codebooks > 0 or not codebook_entry_bits(a.core),
        lambda a: (
            f"core.decoder.codebooks (={a.core.decoder.codebooks}) must be at least 1 where "
            f"core.precisions (={', '.join(a.core.precisions)}) name weights by codebook"
        ),
        lambda a: "try 16, or drop the precisions that begin with c",
    ),
    Rule(
        "codebook_entries",
        ("core.table_memory.word_bits", "core.precisions"),
        "Codebooks lie in table memory, whose words hold an entry.",
        lambda a: a.core.table_memory.word_bits >= codebook_entry_bits(a.core),
        lambda a: (
            f"core.table_memory.word_bits (={a.core.table_memory.word_bits}) must hold a codebook "
            f"entry of {codebook_entry_bits(a.core)} bits"
        ),
        lambda a: f"try {codebook_entry_bits(a.core)}, or codebooks of 8-bit entries (c8)",
    ),
)
