"""Random small matrix-vector instructions that lean on the corners of rules T1 to T20."""

import random
from dataclasses import dataclass, replace

import numpy as np
from stepper_storage import StepperConfig

from spusim.arch.spec import Arch
from spusim.formats import Layout, PackedMatrix, pack

FORMATS = ("dense", "bitmap", "run_length", "pencil", "block", "n_of_m")


@dataclass(frozen=True)
class Case:
    """One instruction: what `step` takes."""

    config: StepperConfig
    weight: list[list[int]]  # [row][column]
    x: list[int]
    bias: list[int] | None
    start_accumulators: list[int] | None
    accumulate: bool


@dataclass(frozen=True)
class PortSchedule:
    """Banks that router and vector unit take: `pattern` repeated, then nothing from `end` on."""

    pattern: tuple[frozenset[int], ...]
    end: int

    def __call__(self, cycle: int, _grants: list[set[int]]) -> set[int]:
        """Return the banks taken in a cycle."""
        return set(self.pattern[cycle % len(self.pattern)]) if cycle < self.end else set()


def random_config(rng: random.Random, columns: int, ports: str = "reserved") -> StepperConfig:
    """Return a machine for a matrix of that many columns."""
    storage = rng.choice(FORMATS)
    pes = rng.choice((1, 1, 2, 3, 4))
    # data banks hold no resident pointers, and without pointers there is no run_length (T4)
    private = storage == "run_length" or rng.random() < 0.4
    preload = not private or (storage != "run_length" and rng.random() < 0.3)
    weight_bits, activation_bits = rng.choice((4, 8, 16)), rng.choice((8, 16))
    product_bits = weight_bits + activation_bits
    data_word_bits = rng.choice((32, 64))
    word_bits = rng.choice((32, 64)) if private else data_word_bits
    banks = rng.choice((1, 2, 4)) if private else pes * rng.choice((1, 2, 3))
    modes = ("skip", "decompress") if storage != "dense" else ("skip", "dense", "decompress")
    width = rng.choice((1, 2, 3, 4, columns, columns + 3))
    group, extent = random_grouping(rng, storage, columns)
    if private:
        width = window_of_distinct_banks(width, banks, data_word_bits // activation_bits)
    return StepperConfig(
        format=storage,
        pes=pes,
        lanes=rng.choice((1, 1, 2, 4, 8)),
        macs_per_lane=rng.choice((1, 1, 2)),
        word_bits=word_bits,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        group=group,
        extent=extent,
        index_bits=rng.choice((1, 2, 4)),
        pointer_bits=0 if preload or storage in ("dense", "n_of_m") else 16,
        index_word_bits=word_bits,
        preload=preload,
        private_weight_memory=private,
        banks=banks,
        data_word_bits=data_word_bits,
        entries_per_cycle=rng.choice((1, 1, 2, 3, 8)),
        scanner_width=width,
        queue_depth=rng.choice((1, 1, 2, 3, 8)),
        release=rng.choice(("pop", "done")),
        hazard=rng.choice(("bypass", "stall")),
        mac_stages=rng.choice((1, 2, 3, 7)),
        weights=rng.choice(modes),
        activations=rng.choice(("skip", "skip", "gate", "dense")),
        accumulator_bits=rng.choice((product_bits, product_bits, product_bits + 1, 48)),
        overflow=rng.choice(("saturate", "wrap")),
        bias_bits=rng.choice((0, 0, 8, 16, 32)),
        operand_address=rng.randrange(0, 2 * banks + 1),
        ports=ports,
    )


def random_grouping(rng: random.Random, storage: str, columns: int) -> tuple[int, int]:
    """Return rows of a pencil, rows and columns of a block, or M and N of a format."""
    if storage == "pencil":
        return rng.choice((2, 3, 4, 8)), 0
    if storage == "block":
        return rng.choice((1, 2, 3, 4, 8)), rng.choice((1, 2, 3, 4, columns, columns + 1))
    if storage == "n_of_m":
        group = rng.choice((1, 2, 3, 4, 5, 8))
        return group, rng.choice((1, (group + 1) // 2, group))
    return 1, 0


def thinned(config: StepperConfig, weight: list[list[int]]) -> list[list[int]]:
    """Return a matrix without the last nonzeros of groups in which n_of_m stores fewer."""
    if config.format != "n_of_m":
        return weight
    thin = [[*row] for row in weight]
    for first in range(0, len(weight), config.group):
        for column in range(len(weight[0])):
            kept = 0
            for row in thin[first : first + config.group]:
                kept += row[column] != 0
                if kept > config.extent:
                    row[column] = 0
    return thin


def window_of_distinct_banks(width: int, banks: int, per_word: int) -> int:
    """Return a width of which no window needs two words of one bank."""
    if banks == 1:
        return width if per_word % width == 0 else 1
    return min(width, (banks - 1) * per_word)


def random_values(rng: random.Random, bits: int, count: int, density: float) -> list[int]:
    """Return signed integers of which about `density` are nonzero, many at the range's ends."""
    lowest, highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    values = []
    for _ in range(count):
        if rng.random() >= density:
            values.append(0)
        elif rng.random() < 0.3:
            values.append(rng.choice((lowest, highest, 1, -1)))
        else:
            values.append(rng.randint(lowest, highest))
    return values


def random_weight(
    rng: random.Random, config: StepperConfig, rows: int, columns: int
) -> list[list[int]]:
    """Return a matrix, often with empty rows or columns, sometimes with the longest gaps."""
    density = rng.choice((0.0, 0.1, 0.3, 0.6, 1.0))
    weight = [random_values(rng, config.weight_bits, columns, density) for _ in range(rows)]
    corner = rng.choice(("none", "none", "empty_rows", "empty_columns", "last_only"))
    if corner == "empty_rows":
        for row in range(0, rows, 2):
            weight[row] = [0] * columns
    elif corner == "empty_columns":
        for column in range(rng.randrange(2), columns, 2):
            for values in weight:
                values[column] = 0
    elif corner == "last_only":  # the longest gap: every column's only weight is in the last row
        weight = [[0] * columns for _ in range(rows - 1)]
        weight.append(random_values(rng, config.weight_bits, columns, 1.0))
    return weight


def random_accumulators(rng: random.Random, bits: int, rows: int) -> list[int]:
    """Return values of which many are at, or next to, the limits of the width."""
    lowest, highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    corners = (0, lowest, highest, lowest + 1, highest - 1)
    return [rng.choice((*corners, rng.randint(lowest, highest))) for _ in range(rows)]


def random_case(rng: random.Random, ports: str = "reserved") -> Case:
    """Return an instruction; `rng` may be hypothesis' `st.randoms()` just as well."""
    rows = rng.choice((1, 2, 3, 5, 8, 13, 24))
    columns = rng.choice((1, 2, 3, 5, 8, 17))
    config = random_config(rng, columns, ports)
    if rng.random() < 0.05:
        rows = config.pes * config.group + 1  # one row more than a full round over the PEs
    weight = thinned(config, random_weight(rng, config, rows, columns))
    density = rng.choice((0.0, 0.1, 0.3, 0.6, 1.0))
    x = random_values(rng, config.activation_bits, columns, density)
    if rng.random() < 0.1:
        x = [0] * (columns - 1) + [1]  # the longest scan
    bits = min(config.bias_bits, config.accumulator_bits)
    bias = random_accumulators(rng, bits, rows) if bits else None
    accumulate = rng.random() < 0.25
    start = random_accumulators(rng, config.accumulator_bits, rows) if accumulate else None
    return Case(config, weight, x, bias, start, accumulate)


def random_ports(rng: random.Random, banks: int) -> PortSchedule:
    """Return which banks other units take, for a while; afterwards the engine is alone."""
    density = rng.choice((0.1, 0.5, 0.9, 1.0))
    pattern = tuple(
        frozenset(bank for bank in range(banks) if rng.random() < density)
        for _ in range(rng.choice((1, 3, 8)))
    )
    return PortSchedule(pattern, end=rng.choice((1, 5, 40)))


def with_shared_ports(case: Case) -> Case:
    """Return the same case on a machine with shared ports."""
    return replace(case, config=replace(case.config, ports="shared"))


def layout_of(config: StepperConfig) -> Layout:
    """Return the layout in which spusim packs a matrix for this machine."""
    return Layout(
        format=config.format,
        pes=config.pes,
        word_bits=config.word_bits,
        index_word_bits=config.index_word_bits,
        weight_bits=config.weight_bits,
        group=config.group,
        extent=config.extent,
        index_bits=config.index_bits,
        pointer_bits=config.pointer_bits,
        bias_bits=config.bias_bits,
    )


def packed(case: Case) -> PackedMatrix:
    """Return the case's matrix as spusim packs it."""
    bias = None if case.bias is None else np.array(case.bias, np.int64)
    return pack(np.array(case.weight, np.int64), layout_of(case.config), bias)


def arch_of(case: Case) -> Arch:
    """Return the architecture that the case runs on, with memories that are large enough."""
    config = case.config
    index_mode = "preload" if config.preload else "resident"
    private = {"words": 8192, "word_bits": config.word_bits}
    core = {
        "pes": config.pes,
        "lanes": config.lanes,
        "precisions": {f"{config.weight_bits}x{config.activation_bits}": config.macs_per_lane},
        "layer_weight_bits": config.weight_bits,
        "layer_activation_bits": config.activation_bits,
        "accumulators": max(len(case.weight), config.group),
        "queue": {"depth": config.queue_depth, "release": config.release},
        "scanner": {"width": config.scanner_width},
        "decoder": {"entries_per_cycle": config.entries_per_cycle},
        "weight_memory": private if config.private_weight_memory else None,
        "index_memory": {"word_bits": config.index_word_bits, "mode": index_mode},
        "data_memory": {
            "banks": config.banks,
            "words": 1024,
            "word_bits": config.operand_word_bits,
        },
        "sparse": {
            "weights": config.weights,
            "activations": config.activations,
            "format": config.format,
            "formats": (config.format,),
            "pencil": config.group,
            "block": {"rows": config.group, "columns": max(1, config.extent)},
            "n_of_m": (
                {"kept": config.extent, "group": config.group}
                if config.format == "n_of_m"
                else {"kept": 1, "group": 1}
            ),
            "index_bits": config.index_bits,
            "pointer_bits": config.pointer_bits or 16,
        },
        "ports": config.ports,
        "hazard": config.hazard,
        "pipeline": {"mac_stages": config.mac_stages},
    }
    numerics = {"accumulator_bits": config.accumulator_bits, "overflow": config.overflow}
    return Arch.model_validate(
        {"name": "generated", "clock_mhz": 100.0, "core": core, "numerics": numerics}
    )
