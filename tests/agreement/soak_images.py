"""Random networks over images, machines for them of both dataflows, and memories too small."""

import json
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from spusim.arch import Arch, load_arch
from spusim.compiler import CompileError, compile_network
from spusim.errors import SpusimError
from spusim.frontend import quantise_input
from spusim.frontend.bind import bind, wanted_keys
from spusim.frontend.quantise import quantise
from spusim.frontend.topology import TopologyModel
from spusim.network import Network, Stream

Shape = tuple[int, int, int]  # channels, height, width
Layer = dict[str, Any]

MOST_SIDE = 12
PRECISIONS = "{4x8: 2, 4x16: 1, 8x8: 1, 8x16: 1, 16x8: 1, 16x16: 1, c8x8: 2, c8x16: 1}"
ROOM = (
    f"core.precisions={PRECISIONS}", "core.decoder.codebooks=16", "core.data_memory.words=2048",
    "core.sparse.formats=[dense, bitmap, run_length, pencil, block]", "link.channels=16",
    "core.sequencer.descriptors=256", "core.instruction_memory.words=65536",
    "core.index_memory.words=16384", "core.table_memory.words=16384", "link.channel_words=4096",
)  # fmt: skip
CHOICES: dict[str, tuple[Any, ...]] = {
    "core.dataflow": ("row", "pixel"),
    "core.pes": (1, 2, 3, 7),
    "core.lanes": (1, 2, 3, 8),
    "core.accumulators": (64, 128),
    "core.queue.depth": (1, 2, 8),
    "core.queue.release": ("pop", "done"),
    "core.scanner.width": (1, 3, 4),
    "core.feeder.words": (1, 2, 4),
    "core.decoder.entries_per_cycle": (1, 2, 8),
    "core.data_memory.banks": (4, 5, 8, 16),
    "core.data_memory.word_bits": (64, 64, 128),
    "core.weight_memory.word_bits": (32, 64, 128),
    "core.index_memory.word_bits": (32, 64),
    "core.index_memory.mode": ("resident", "preload"),
    "core.sparse.pencil": (2, 4),
    "core.sparse.block": ("{rows: 2, columns: 1}", "{rows: 3, columns: 5}"),
    "core.sparse.activations": ("skip", "skip", "gate", "dense"),
    "core.pipeline.mac_stages": (1, 3, 5),
    "core.pipeline.vector_stages": (1, 3),
    "core.sequencer.contexts": (1, 2),
    "core.vector.lanes": (1, 3, 8),
    "link.hop_cycles": (1, 2),
}
NUMERICS: dict[str, tuple[Any, ...]] = {
    "numerics.accumulator_bits": (40, 48),  # in which no sum of so few overflows
    "numerics.overflow": ("saturate", "wrap"),
    "numerics.rounding": ("half_up", "half_even", "floor"),
    "numerics.requantize_overflow": ("saturate", "wrap"),
    "numerics.table_interpolate": ("true", "false"),
}
MEMORIES: dict[str, tuple[Any, ...]] = {
    "bytes_per_cycle": (0.7, 3.25, 64),
    "latency_cycles": (0, 9),
    "data_port": ("own", "banks"),
}
ELEMENTS = (
    "relu", "relu6", "hardtanh", "prelu", "leaky_relu", "affine", "batch_norm", "prune_threshold",
    "prune_top", "tanh", "sigmoid",
)  # fmt: skip


def one_of(rng: np.random.Generator, values: Any) -> Any:
    """Return one of several, as it is."""
    return values[int(rng.integers(len(values)))]


@dataclass(frozen=True)
class ImageCase:
    """A network of layers, two machines with one arithmetic; `seed` of its weights and frames."""

    layers: tuple[Layer, ...]
    shape: Shape
    quantised: dict[str, Any]
    frames: int
    seed: int
    settings: tuple[str, ...]
    recorder: tuple[str, ...]

    def network(self) -> tuple[Network, Stream]:
        """Return the quantised network, and the integers of its frames."""
        said = dict(zip(("channels", "height", "width"), self.shape, strict=True))
        content = {"name": "images", "input": said, "layers": self.layers}
        topology = TopologyModel.model_validate_json(json.dumps(content))
        rng = np.random.default_rng(self.seed)
        density = one_of(rng, (0.1, 0.4, 1.0))
        tensors = {}
        for key, size in wanted_keys(topology).items():
            kept = rng.random(size) < (density if len(size) > 1 else 1.0)
            tensors[key] = rng.normal(size=size) * kept
        for key in tensors:
            if key.endswith("running_var"):
                tensors[key] = np.abs(tensors[key]) + 0.5
        frames = rng.normal(size=(self.frames, prod(self.shape)))
        frames *= rng.random(frames.shape) < one_of(rng, (0.3, 1.0))
        frames[0, 0] = 1.0
        stream = Stream(frames, (0,), ("a",))
        network = quantise(bind(topology, tensors), stream, **self.quantised)
        return network, quantise_input(stream, network)


@dataclass
class Drawing:
    """Layers while they are drawn; `shapes` of all that was made, by layer."""

    rng: np.random.Generator
    at: Shape
    layers: list[Layer] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)

    def add(self, layer: str, shape: Shape, **keys: Any) -> None:
        """Add a layer that makes a shape."""
        name = f"l{len(self.layers)}"
        self.layers.append({"type": layer, "name": name, **keys})
        self.shapes[name] = self.at = shape

    def window(self, most: int) -> tuple[dict[str, list[int]], tuple[int, int]]:
        """Return any kernel of up to `most` rows and columns, and the sides of what it makes."""
        rng, sides = self.rng, self.at[1:]
        while True:
            kernel, stride, dilation = (rng.integers(1, n, 2) for n in (most + 1, 4, 4))
            dilation = dilation if rng.random() < 0.5 else np.ones(2, int)
            padding = rng.integers(0, 4, 4)
            reach = dilation * (kernel - 1) + 1
            out = (np.array(sides) + padding[:2] + padding[2:] - reach) // stride + 1
            if (out > 0).all() and (out <= MOST_SIDE).all():
                found = {"kernel": kernel, "stride": stride, "padding": padding}
                found["dilation"] = dilation
                return {key: value.tolist() for key, value in found.items()}, tuple(out.tolist())

    def conv(self) -> None:
        """Add a convolution of any geometry and groups."""
        channels = self.at[0]
        groups = one_of(self.rng, [g for g in range(1, channels + 1) if channels % g == 0])
        filters = groups * int(self.rng.integers(1, max(2, 13 // groups)))
        how, sides = self.window(5)
        self.add("conv2d", (filters, *sides), outputs=filters, groups=groups, **how)

    def pool(self) -> None:
        """Add a pooling of windows, or of all; padding is at most half a window."""
        channels = self.at[0]
        if self.rng.random() < 0.3:
            kind = one_of(self.rng, ("average", "max"))
            self.add("global_pool", (channels, 1, 1), kind=kind)
            return
        how, _ = self.window(4)
        halves = [side // 2 for side in how["kernel"]] * 2
        how["padding"] = [min(pair) for pair in zip(how["padding"], halves, strict=True)]
        how["dilation"] = [1, 1]
        sides = [
            (side + how["padding"][k] + how["padding"][k + 2] - how["kernel"][k])
            // how["stride"][k] + 1
            for k, side in enumerate(self.at[1:])
        ]  # fmt: skip
        if min(sides) > 0:
            kind = one_of(self.rng, ("max_pool2d", "avg_pool2d"))
            self.add(kind, (channels, *sides), **how, count_padding=bool(self.rng.integers(2)))

    def element(self) -> None:
        """Add a function of single elements or channels."""
        kind = one_of(self.rng, ELEMENTS)
        keys: dict[str, dict[str, Any]] = {
            "prelu": {"parameters": one_of(self.rng, (1, self.at[0]))},
            "prune_threshold": {"threshold": float(self.rng.random())},
            "prune_top": {"keep": int(self.rng.integers(1, prod(self.at) + 1))},
        }
        self.add(kind, self.at, **keys.get(kind, {}))

    def merge(self) -> None:
        """Add a sum, a product or a concatenation with what has the same pixels."""
        alike = [name for name, shape in self.shapes.items() if shape[1:] == self.at[1:]]
        if not alike or not self.layers:
            return
        other, last = one_of(self.rng, alike), self.layers[-1]["name"]
        channels, height, width = self.shapes[other]
        kinds = ["add", "multiply", "maximum"] if channels == self.at[0] else []
        kind = one_of(self.rng, [*kinds, "concat"])
        if kind != "concat":
            self.add(kind, self.at, inputs=[last, other])
        elif channels + self.at[0] <= 16:
            self.add(kind, (channels + self.at[0], height, width), inputs=[other, last])

    def part(self) -> None:
        """Add a slice of some channels."""
        channels, height, width = self.at
        size = int(self.rng.integers(1, channels + 1))
        first = int(self.rng.integers(0, channels - size + 1))
        self.add("slice", (size, height, width), first=first, size=size)

    def head(self) -> None:
        """Add a linear layer over all."""
        self.add("flatten", self.at, order=one_of(self.rng, ("channels", "positions")))
        self.add("linear", (6, 1, 1), outputs=6)

    def grow(self) -> tuple[Layer, ...]:
        """Draw layers, of which one at least is a window."""
        one_of(self.rng, (self.conv, self.conv, self.element))()
        steps = (self.conv, self.conv, self.pool, self.element, self.element, self.merge, self.part)
        for _ in range(int(self.rng.integers(1, 6))):
            one_of(self.rng, steps)()
        if self.rng.random() < 0.6:
            self.head()
        return tuple(self.layers)


def drawn(table: dict[str, tuple[Any, ...]], rng: np.random.Generator) -> list[str]:
    """Return settings, one of each key's values."""
    return [f"{key}={one_of(rng, values)}" for key, values in table.items()]


def random_machine(rng: np.random.Generator) -> list[str]:
    """Return settings of a machine without its arithmetic, which `row64` becomes."""
    weights = one_of(rng, ("skip", "skip", "decompress", "dense"))
    forms = ("dense",) if weights == "dense" else ("bitmap", "run_length", "pencil", "block")
    how = [f"core.sparse.weights={weights}", f"core.sparse.format={one_of(rng, forms)}"]
    return [*ROOM, *drawn(CHOICES, rng), *how, f"cores={one_of(rng, (1, 1, 2, 3))}"]


def too_small(settings: list[str], network: Network, rng: np.random.Generator) -> list[str]:
    """Return a machine whose data memory holds no more than it must, the rest outside."""
    memory = "".join(f", {pair.replace('=', ': ')}" for pair in drawn(MEMORIES, rng))
    how = [*settings, "cores=1", f"link.channel_words={one_of(rng, (64, 4096))}"]
    how.append(f"external_memory={{words: 1000000{memory}}}")
    words = 2
    while words < 2048:
        found = [*how, f"core.data_memory.words={words}"]
        try:
            compile_network(network, load_arch("row64", found))
        except CompileError:
            words += 1 + words // 4
        else:
            return found
    return settings


def image_case(seed: int) -> ImageCase:
    """Return a case that compiles; what is refused with a reason is drawn again."""
    rng = np.random.default_rng(seed)
    while True:
        shape: Shape = tuple(int(rng.integers(1, n)) for n in (9, 11, 11))  # type: ignore[assignment]
        quantised = {
            "weight_bits": one_of(rng, (4, 8, 8, 16, "codebook8")),
            "activation_bits": one_of(rng, (8, 8, 16)),
            "input_bits": one_of(rng, (8, 8, 16)),
            "per_channel": bool(rng.integers(2)),
        }
        numerics = drawn(NUMERICS, rng)
        machines = [[*random_machine(rng), *numerics] for _ in range(2)]
        case = ImageCase(
            Drawing(rng, shape).grow(), shape, quantised, int(rng.integers(1, 3)), seed,
            *map(tuple, machines),
        )  # fmt: skip
        try:
            network, _ = case.network()
            if rng.random() < 0.4:
                case = replace(case, settings=tuple(too_small(machines[0], network, rng)))
            for settings in (case.settings, case.recorder):
                compile_network(network, machine_of(settings))
        except SpusimError:
            continue
        except Exception:
            return case  # which `compare` meets again, and tells
        return case


def machine_of(settings: tuple[str, ...]) -> Arch:
    """Return the machine of a case."""
    return load_arch("row64", list(settings))


def smaller_cases(case: ImageCase) -> list[ImageCase]:
    """Return the case with fewer layers or frames, or without one setting."""
    fewer = [replace(case, layers=case.layers[:end]) for end in range(1, len(case.layers))]
    if case.frames > 1:
        fewer.append(replace(case, frames=1))
    plain = len(ROOM)
    for k in range(plain, len(case.settings)):
        fewer.append(replace(case, settings=case.settings[:k] + case.settings[k + 1 :]))
    return fewer
