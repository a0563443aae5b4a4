"""Networks of images for dataflow `pixel`: random ones, and small machines that compute them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from spusim.arch import Arch, load_arch

Layers = list[dict[str, Any]]
Sides = tuple[int, int, int]  # channels, height, width

SMALL = [
    "core.pes=4", "core.lanes=4", "core.accumulators=32", "core.data_memory.banks=8",
    "core.data_memory.words=8192", "core.scanner.width=4", "core.vector.lanes=8",
    "core.precisions.8x16=1",
]  # fmt: skip


def small_pixel(*settings: str) -> Arch:
    """Return smartskip made small: 4 PEs x 4 lanes, of 8 filters at 4 positions."""
    return load_arch("smartskip", [*SMALL, *settings])


class Drawing:
    """A network while its layers are drawn; `shapes` of all that was made, by layer."""

    def __init__(self, draw: Any) -> None:
        self.draw, self.layers = draw, Layers()
        self.shapes: dict[str, Sides] = {}
        sizes = st.integers(1, 5), st.integers(1, 7), st.integers(1, 7)
        self.start: Sides = tuple(draw(each) for each in sizes)  # type: ignore[assignment]
        self.at, self.name = self.start, "input"

    def add(self, type_: str, shape: Sides, **fields: Any) -> None:
        """Add a layer that makes a shape of what was made last, or of its own `inputs`."""
        self.name = f"l{len(self.layers)}"
        self.layers.append({"type": type_, "name": self.name, **fields})
        self.shapes[self.name] = self.at = shape

    def conv(self) -> None:
        """Add a convolution: any kernel, stride, padding; grouped or not."""
        channels, height, width = self.at
        groups = self.draw(st.sampled_from([g for g in (1, 2, 3, channels) if channels % g == 0]))
        outputs = groups * self.draw(st.integers(1, 3))
        kernel = [self.draw(st.integers(1, min(3, side + 2))) for side in (height, width)]
        stride, pad = self.draw(st.integers(1, 2)), 1
        sides = [
            (side + 2 * pad - taps) // stride + 1
            for side, taps in zip((height, width), kernel, strict=True)
        ]
        self.add(
            "conv2d", (outputs, *sides), outputs=outputs, kernel=kernel, stride=stride,
            padding=pad, groups=groups, bias=self.draw(st.booleans()),
        )  # fmt: skip

    def pool(self) -> None:
        """Add a pooling, of windows or of all."""
        channels, height, width = self.at
        if self.draw(st.booleans()):
            kind = self.draw(st.sampled_from(["average", "max"]))
            self.add("global_pool", (channels, 1, 1), kind=kind)
        elif min(height, width) > 1:
            kind = self.draw(st.sampled_from(["max_pool2d", "avg_pool2d"]))
            self.add(kind, (channels, height - 1, width - 1), kernel=2, stride=1)

    def element(self) -> None:
        """Add what takes single elements or channels."""
        kinds = ["relu", "relu6", "prune_threshold", "prelu", "leaky_relu", "affine", "prune_top"]
        kind = self.draw(st.sampled_from([*kinds, "batch_norm", "tanh"]))
        size = int(np.prod(self.at))
        fields = {
            "prune_threshold": {"threshold": 0.3},
            "prelu": {"parameters": self.at[0]},
            "prune_top": {"keep": size // 2},
        }
        self.add(kind, self.at, **fields.get(kind, {}))

    def merge(self) -> None:
        """Add a sum or product with, or concatenation to, what has the same pixels."""
        alike = [n for n, shape in self.shapes.items() if shape[1:] == self.at[1:]]
        if not alike:
            return
        other = self.draw(st.sampled_from(alike))
        same = self.shapes[other] == self.at
        kinds = ["add", "multiply", "subtract", "maximum"] if same else []
        kind = self.draw(st.sampled_from([*kinds, "concat", "concat"]))
        channels, height, width = self.at
        if kind != "concat":
            self.add(kind, self.at, inputs=[self.name, other])
        elif same and self.draw(st.booleans()):
            shape = channels, 2 * height, width
            self.add("concat", shape, inputs=[other, self.name], axis="positions")
        else:
            total = channels + self.shapes[other][0]
            self.add("concat", (total, height, width), inputs=[other, self.name])

    def part(self) -> None:
        """Add a slice of some channels."""
        channels, height, width = self.at
        size = self.draw(st.integers(1, channels))
        first = self.draw(st.integers(0, channels - size))
        self.add("slice", (size, height, width), first=first, size=size)

    def head(self) -> None:
        """Add a linear layer over all, or none."""
        if self.draw(st.booleans()):
            order = self.draw(st.sampled_from(["channels", "positions"]))
            self.add("flatten", self.at, order=order)
            self.add("linear", (5, 1, 1), outputs=5)


@st.composite
def image_networks(draw: Any) -> tuple[Layers, Sides]:
    """Draw a network of images with at least one convolution, and its input's shape."""
    made = Drawing(draw)
    steps = (made.conv, made.pool, made.element, made.merge, made.part, made.conv, made.element)
    made.conv()
    for _ in range(draw(st.integers(1, 6))):
        draw(st.sampled_from(steps))()
    made.head()
    return made.layers, made.start
