"""Seeded random architectures, matrices, tables and values for `random_programs`."""

import numpy as np
from programs import matrix

from spusim.arch import Arch, check_arch
from spusim.program import Matrix, Table

FORMATS = ("dense", "bitmap", "run_length", "pencil", "block", "n_of_m")
PRECISIONS = ("4x8", "4x16", "8x8", "8x16", "16x8", "16x16")
OVERFLOWS = ("saturate", "wrap", "nullify")
ROUNDINGS = ("floor", "half_up", "half_even", "stochastic")
ROWS = 12  # accumulators of a thread


def random_arch(rng: np.random.Generator) -> Arch:
    """Return a small machine that obeys the rules of architectures."""
    private = bool(rng.random() < 0.4)
    pes = int(rng.integers(1, 5))
    banks = int(rng.choice((1, 2, 4, 8)) if private else pes * rng.choice((1, 2, 3)))
    word = int(rng.choice((32, 64, 64, 128)))
    precisions = rng.choice(PRECISIONS, 2, replace=False).tolist()
    widest = max(int(p.split("x")[1]) for p in precisions)
    product = max(sum(map(int, p.split("x"))) for p in precisions)
    if private:  # a window's words come from different banks
        widths = [w for w in (1, 2, 3, 4, 7) if -(-(word - 1 + w * widest) // word) <= banks]
        width = int(rng.choice(widths or [1]))
    else:
        width = int(rng.choice((1, 2, 3, 4, 7, 16)))
    preload = not private or rng.random() < 0.4
    weight_word = int(rng.choice((32, 64)))
    modes = ("skip", "skip", "decompress", "dense")
    cores = int(rng.integers(1, 4))
    return check_arch(
        Arch.model_validate({
            "name": "generated",
            "cores": cores,
            "clock_mhz": 100.0,
            "core": {
                "pes": pes,
                "lanes": int(rng.integers(1, 5)),
                "precisions": {p: int(rng.integers(1, 3)) for p in precisions},
                "layer_weight_bits": int(precisions[0].split("x")[0]),
                "layer_activation_bits": int(precisions[0].split("x")[1]),
                "accumulators": 128,
                "queue": {
                    "depth": int(rng.integers(1, 4)),
                    "release": str(rng.choice(("pop", "done"))),
                },
                "scanner": {"width": width},
                "decoder": {"entries_per_cycle": int(rng.choice((1, 2, 3, 8)))},
                "weight_memory": {"words": 512, "word_bits": weight_word} if private else None,
                "index_memory": {
                    "word_bits": weight_word if private else word,
                    "mode": "preload" if preload else "resident",
                },
                "data_memory": {"banks": banks, "words": 1024, "word_bits": word},
                "table_memory": {
                    "banks": int(rng.integers(1, 3)),
                    "ports": int(rng.integers(1, 3)),
                },
                "sparse": {
                    "weights": str(rng.choice(modes)),
                    "activations": str(rng.choice(("skip", "skip", "gate", "dense"))),
                    "format": "dense",
                    "formats": FORMATS,
                    "pencil": int(rng.choice((2, 3, 4))),
                    "block": {
                        "rows": int(rng.choice((1, 2, 3))),
                        "columns": int(rng.choice((1, 2, 3, 5))),
                    },
                    "n_of_m": {"group": 4, "kept": int(rng.choice((1, 2, 3, 4)))},
                    "index_bits": int(rng.choice((1, 2, 4))),
                },
                "hazard": str(rng.choice(("bypass", "bypass", "stall"))),
                "pipeline": {
                    "mac_stages": int(rng.integers(1, 5)),
                    "vector_stages": int(rng.integers(1, 5)),
                    "dispatch_cycles": int(rng.integers(1, 4)),
                },
                "vector": {"lanes": int(rng.integers(1, 6))},
                "sequencer": {"contexts": int(rng.choice((1, 2, 2, 3, 4)))},
            },
            "numerics": {
                "accumulator_bits": int(rng.integers(product, 49)),
                "overflow": str(rng.choice(OVERFLOWS)),
                "rounding": str(rng.choice(ROUNDINGS)),
                "seed": int(rng.integers(0, 2**32)),
                "requantize_overflow": str(rng.choice(OVERFLOWS)),
                "partial_sums": random_partial_sums(rng, product),
                "table_address_bits": 4,
            },
            "link": {
                "hop_cycles": int(rng.integers(1, 4)),
                "channels": 8,
                "channel_words": 32,
                "host_cycles_per_word": int(rng.integers(1, 4)),
            },
        })
    )  # fmt: skip


def random_partial_sums(rng: np.random.Generator, accumulator_bits: int) -> dict[str, int | str]:
    """Return settings of partial sums that fit accumulators, mostly none."""
    shift = int(rng.integers(0, 5))
    return {
        "every": int(rng.choice((0, 0, 0, 1, 2, 3, 5))),
        "shift": shift,
        "bits": int(rng.integers(2, accumulator_bits - shift + 1)),
        "rounding": str(rng.choice(ROUNDINGS[:3])),
    }


def random_values(rng: np.random.Generator, bits: int, count: int, density: float) -> np.ndarray:
    """Return signed integers (count,), of which about `density` are nonzero, some at the ends."""
    half = 2 ** (bits - 1)
    values = rng.integers(-half, half, count)
    ends = rng.random(count) < 0.2
    values[ends] = rng.choice((-half, half - 1, 1, -1), int(ends.sum()))
    return values * (rng.random(count) < density)


def random_matrix(rng: np.random.Generator, arch: Arch, name: str) -> Matrix:
    """Return a matrix that fits a thread's accumulators and region."""
    spec = arch.core
    formats = FORMATS if spec.weight_memory and spec.index_memory.mode == "resident" else (
        "dense", "bitmap", "pencil", "block", "n_of_m"
    )  # fmt: skip
    kind = "dense" if spec.sparse.weights == "dense" else str(rng.choice(formats))
    weight_bits, activation_bits = map(int, str(rng.choice([*spec.precisions])).split("x"))
    rows, columns = int(rng.integers(1, ROWS + 1)), int(rng.choice((1, 2, 3, 5, 8, 13)))
    weight = random_values(rng, weight_bits, rows * columns, rng.choice((0.0, 0.2, 0.5, 1.0)))
    weight = weight.reshape(rows, columns)
    group, extent = spec.sparse.grouping(kind)
    if kind == "n_of_m":  # which has no places for more
        for first in range(0, rows, group):
            part = weight[first : first + group]
            part[np.cumsum(part != 0, axis=0) > extent] = 0
    bits = min(int(rng.choice((8, 16, 32))), arch.numerics.accumulator_bits)
    data_word = spec.data_memory.word_bits
    return matrix(
        weight,
        random_values(rng, bits, rows, 0.8) if rng.random() < 0.5 else None,
        kind,
        pes=spec.pes,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        word_bits=spec.weight_memory.word_bits if spec.weight_memory else data_word,
        index_word_bits=spec.index_memory.word_bits,
        preload=spec.index_memory.mode == "preload",
        group=group,
        extent=extent,
        index_bits=spec.sparse.index_bits,
        bias_bits=bits,
        name=name,
    )


def random_table(rng: np.random.Generator, number: int) -> Table:
    """Return a look-up table of random 16-bit entries."""
    bits, interpolate = int(rng.integers(2, 5)), bool(rng.random() < 0.5)
    entries = rng.integers(-(2**15), 2**15, 2**bits + interpolate).astype(np.int32)
    fraction = int(rng.integers(0, 17 - bits))
    return Table(f"t{number}", entries, 32 * number, bits, fraction, interpolate)
