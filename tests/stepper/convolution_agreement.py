"""Cases for the convolution stepper, drawn at random, and the machine's answer to them."""

import random

import numpy as np
from convolution_case import ConvCase
from stepper_storage import StepperConfig

from spusim.formats.layout import Layout
from spusim.machine.conv_engine import ConvEngine, TileTime
from spusim.machine.conv_time import plan_pixel, plan_row, run_pixel, run_row
from spusim.machine.conv_values import plan_values, run_tile_values
from spusim.numerics.convolution import Convolution


def engine_of(case: ConvCase) -> ConvEngine:
    """Return the machine's engine for a case."""
    config = case.machine
    return ConvEngine(
        config.pes, config.lanes, config.macs_per_lane, case.accumulators, config.queue_depth,
        config.release, config.scanner_width, config.entries_per_cycle, case.feeder_words,
        config.operand_word_bits, config.activation_bits, config.mac_stages, config.weights,
        config.activations,
    )  # fmt: skip


def layout_of(case: ConvCase) -> Layout:
    """Return how the machine stores a case's matrix."""
    config = case.machine
    return Layout(
        config.format, config.pes, config.word_bits, config.index_word_bits, config.weight_bits,
        config.group, config.index_bits, 16 if config.format == "run_length" else 0,
    )  # fmt: skip


def shape_of(case: ConvCase) -> Convolution:
    """Return the machine's record of a case's sizes."""
    return Convolution(
        case.channels, case.height, case.width, case.filters, *case.kernel, case.stride,
        case.padding, case.dilation, case.groups,
    )  # fmt: skip


def machine_time(case: ConvCase) -> TileTime:
    """Return what the machine says about a case's time."""
    args = shape_of(case), np.array(case.weight), engine_of(case), layout_of(case), case.load
    if case.dataflow == "row":
        return run_row(plan_row(*args), np.array(case.x), case.first, len(case.positions))
    return run_pixel(plan_pixel(*args), case.first, len(case.positions))


def machine_values(case: ConvCase) -> dict:
    """Return the machine's accumulators by filter and position."""
    order = "spatial" if case.dataflow == "row" else "channel"
    bias = np.array(case.bias) if case.bias else None
    plan = plan_values(shape_of(case), np.array(case.weight), bias, order)
    sums = run_tile_values(
        plan, np.array(case.x), case.first, len(case.positions), case.machine.accumulator_bits,
        case.machine.overflow == "wrap",
    )  # fmt: skip
    return {
        (row, position): int(sums[row, at])
        for row in range(case.filters)
        for at, position in enumerate(case.positions)
    }


def sparse_numbers(rng: random.Random, sizes: tuple[int, ...], density: float, most: int):
    """Return nested lists of random integers of which a share are nonzero."""
    if not sizes:
        return rng.choice([-1, 1]) * rng.randint(1, most) if rng.random() < density else 0
    return [sparse_numbers(rng, sizes[1:], density, most) for _ in range(sizes[0])]


def random_sizes(rng: random.Random) -> dict:
    """Return sizes of a convolution that has an output."""
    while True:
        groups = rng.choice([1, 1, 1, 2, 3])
        sizes = {
            "channels": groups * rng.randint(1, 5), "height": rng.randint(1, 7),
            "width": rng.randint(1, 9), "filters": groups * rng.randint(1, 6),
            "kernel": (rng.randint(1, 3), rng.randint(1, 3)), "groups": groups,
            "stride": (rng.randint(1, 3), rng.randint(1, 2)),
            "padding": tuple(rng.choice([0, 0, 1, 1, 3]) for _ in range(4)),
            "dilation": (rng.choice([1, 1, 2]), rng.choice([1, 1, 3])),
        }  # fmt: skip
        if min(ConvCase(**sizes, weight=[], x=[]).out) > 0:
            return sizes


def random_config(rng: random.Random, dataflow: str) -> StepperConfig:
    """Return a small machine, which often has full queues and few accumulators."""
    weights = rng.choice(["skip", "skip", "skip", "dense", "decompress"])
    form = "dense" if weights == "dense" else rng.choice(["bitmap", "pencil", "run_length"])
    return StepperConfig(
        format=form, pes=rng.choice([1, 2, 3, 4, 7]), lanes=rng.choice([1, 2, 4, 5]),
        macs_per_lane=rng.choice([1, 1, 2]), word_bits=rng.choice([32, 64]), weight_bits=8,
        activation_bits=rng.choice([8, 16]), group=rng.choice([2, 4]) if form == "pencil" else 1,
        index_bits=rng.choice([1, 2, 4]), private_weight_memory=True,
        data_word_bits=rng.choice([32, 64]),
        entries_per_cycle=rng.choice([1, 2, 8]), scanner_width=rng.choice([1, 2, 4]),
        queue_depth=rng.choice([1, 1, 2, 3, 8]), release=rng.choice(["pop", "done"]),
        mac_stages=rng.randint(1, 4), weights=weights,
        activations=rng.choice(["skip", "skip", "dense", "gate"]),
        accumulator_bits=rng.choice([10, 16, 20, 32, 40]),
        overflow=rng.choice(["saturate", "wrap"]),
    )  # fmt: skip


def random_conv(seed: int, dataflow: str) -> ConvCase:
    """Return the case of a seed: sizes, a machine, a tile of the output, and numbers."""
    rng = random.Random(f"{dataflow} {seed}")
    sizes, config = random_sizes(rng), random_config(rng, dataflow)
    out = ConvCase(**sizes, weight=[], x=[]).out
    first = rng.randrange(out[0] * out[1]) if rng.random() < 0.5 else 0
    count = rng.randint(1, out[0] * out[1] - first) if rng.random() < 0.7 else None
    seen = sizes["channels"] // sizes["groups"]
    shape = (sizes["filters"], seen, *sizes["kernel"])
    density = rng.choice([0.0, 0.1, 0.3, 0.6, 1.0])
    filters = -(-sizes["filters"] // config.group // config.pes) * config.group
    each = config.lanes * config.macs_per_lane if dataflow == "pixel" else 1
    most = 127 if config.activation_bits == 8 else 30000
    return ConvCase(
        **sizes, weight=sparse_numbers(rng, shape, density, 127), dataflow=dataflow,
        x=sparse_numbers(rng, (sizes["channels"], sizes["height"], sizes["width"]),
                         rng.choice([0.0, 0.1, 0.5, 1.0]), most),
        bias=[rng.randint(-3000, 3000) for _ in range(sizes["filters"])],
        first=first, count=count, machine=config, load=rng.choice([0, 3]),
        accumulators=max(1, filters + config.group) * each * rng.choice([1, 1, 2, 5]),
        feeder_words=rng.choice([1, 2, 5]),
    )  # fmt: skip
