"""Writes the network files of the larger CNNs: `python -m benchmarks.network_files`.

Their layers repeat, and a file that lists every one of them is what a user can read, cut and edit.
Names are torchvision's keys, so that its state dicts fit. tests/frontend holds the files to this.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "configs" / "networks"

# ImageNet's preprocessing, as torchvision's weights were trained with
_IMAGE = {
    "channels": 3, "height": 224, "width": 224, "resize": 256, "bits": 8,
    "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
}  # fmt: skip
_QUANTISE = {
    "weights": 8,
    "activations": 8,
    "per_channel": True,
    "calibrate": "noise:frames=1,seed=1",
}


@dataclass
class Layers:
    """A network's layers so far, a line each, and the name of the last."""

    lines: list[str] = field(default_factory=list)
    last: str = "input"

    def add(self, type_: str, name: str, **keys: Any) -> str:
        """Add a layer, and return its name."""
        told = {"type": type_, "name": name, **keys}
        self.lines.append("  - {" + ", ".join(f"{k}: {_told(v)}" for k, v in told.items()) + "}")
        self.last = name
        return name

    def remark(self, text: str) -> None:
        """Add a comment."""
        self.lines.append(f"  # {text}")

    def conv(
        self, conv: str, norm: str, outputs: int, kernel: int = 1, stride: int = 1, **keys: Any
    ) -> str:
        """Add a convolution without bias and its batch norm."""
        said: dict[str, Any] = {"outputs": outputs, "kernel": kernel}
        if stride > 1:
            said["stride"] = stride
        if kernel > 1:
            said["padding"] = kernel // 2
        self.add("conv2d", conv, **said, bias=False, **keys)
        return self.add("batch_norm", norm)

    def stem(self) -> None:
        """Add what ResNets begin with."""
        self.remark("stem: 224 x 224 to 56 x 56")
        self.conv("conv1", "bn1", 64, 7, 2)
        self.add("relu", "relu")
        self.add("max_pool2d", "maxpool", kernel=3, stride=2, padding=1)

    def head(self, name: str, outputs: int) -> None:
        """Add the average of all positions and the classifier."""
        self.remark("head")
        self.add("global_pool", "avgpool")
        self.add("flatten", "flatten")
        self.add("linear", name, outputs=outputs)


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_told, value))}]"
    text = str(value)
    return f'"{text}"' if isinstance(value, str) and "," in text else text


Block = Callable[[Layers, str, int, int, bool], None]


def _basic(layers: Layers, at: str, width: int, stride: int, changes: bool) -> None:
    """Add a ResNet-18's block: two convolutions of 3 x 3, beside a shortcut."""
    start = layers.last
    layers.conv(f"{at}.conv1", f"{at}.bn1", width, 3, stride)
    layers.add("relu", f"{at}.relu1")
    end = layers.conv(f"{at}.conv2", f"{at}.bn2", width, 3)
    _joined(layers, at, start, end, width, stride, changes)


def _bottleneck(layers: Layers, at: str, width: int, stride: int, changes: bool) -> None:
    """Add a ResNet-50's block: down, 3 x 3 (which has the stride), up; beside a shortcut."""
    start = layers.last
    layers.conv(f"{at}.conv1", f"{at}.bn1", width)
    layers.add("relu", f"{at}.relu1")
    layers.conv(f"{at}.conv2", f"{at}.bn2", width, 3, stride)
    layers.add("relu", f"{at}.relu2")
    end = layers.conv(f"{at}.conv3", f"{at}.bn3", 4 * width)
    _joined(layers, at, start, end, 4 * width, stride, changes)


def _joined(
    layers: Layers, at: str, start: str, end: str, outputs: int, stride: int, changes: bool
) -> None:
    if changes:
        down = f"{at}.downsample"
        start = layers.conv(f"{down}.0", f"{down}.1", outputs, 1, stride, input=start)
    layers.add("add", f"{at}.add", inputs=[end, start])
    layers.add("relu", f"{at}.relu")


def _resnet(block: Block, blocks: tuple[int, ...], expansion: int) -> Layers:
    layers = Layers()
    layers.stem()
    channels = 64
    for stage, count in enumerate(blocks):
        width = 64 << stage
        layers.remark(f"stage {stage + 1}: {56 >> stage} x {56 >> stage}")
        for number in range(count):
            stride = 2 if stage and not number else 1
            changes = channels != width * expansion or stride > 1
            block(layers, f"layer{stage + 1}.{number}", width, stride, changes)
            channels = width * expansion
    layers.head("fc", 1000)
    return layers


# expansion, channels out, blocks, stride of the first (Sandler et al. 2018, table 2)
_INVERTED = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip


def _mobilenet_v2() -> Layers:
    layers = Layers()
    layers.conv("features.0.0", "features.0.1", 32, 3, 2)
    layers.add("relu6", "features.0.2")
    channels, number = 32, 0
    for expansion, outputs, count, first in _INVERTED:
        for stride in (first, *(1,) * (count - 1)):
            number += 1
            _inverted(layers, f"features.{number}", channels, expansion, outputs, stride)
            channels = outputs
    layers.remark("head")
    layers.conv("features.18.0", "features.18.1", 1280)
    layers.add("relu6", "features.18.2")
    layers.add("global_pool", "pool")
    layers.add("flatten", "flatten")
    layers.add("linear", "classifier.1", outputs=1000)
    return layers


def _inverted(
    layers: Layers, at: str, channels: int, expansion: int, outputs: int, stride: int
) -> None:
    """Add an inverted residual: wider, depthwise, narrower without a function."""
    layers.remark(f"{channels} to {outputs} channels{', half the size' * (stride > 1)}")
    start, place = layers.last, 0
    if expansion > 1:
        layers.conv(f"{at}.conv.0.0", f"{at}.conv.0.1", channels * expansion)
        layers.add("relu6", f"{at}.conv.0.2")
        place = 1
    deep, wide = f"{at}.conv.{place}", channels * expansion
    layers.conv(f"{deep}.0", f"{deep}.1", wide, 3, stride, groups=wide)
    layers.add("relu6", f"{deep}.2")
    end = layers.conv(f"{at}.conv.{place + 1}", f"{at}.conv.{place + 2}", outputs)
    if stride == 1 and channels == outputs:
        layers.add("add", f"{at}.add", inputs=[end, start])


def _tail(layers: Layers) -> Iterator[str]:
    yield "layers:"
    yield from layers.lines
    told = ", ".join(f"{key}: {_told(value)}" for key, value in _QUANTISE.items())
    yield f"quantise: {{{told}}}"


@dataclass(frozen=True)
class NetworkFile:
    """A network file: its remark, what it is, and its layers."""

    remark: str
    description: str
    layers: Callable[[], Layers]


FILES = {
    "resnet18": NetworkFile(
        "ResNet-18 (He et al. 2015) in torchvision's key names: 11,689,512 parameters.",
        "ResNet-18, 224 x 224 images in 1000 classes; random weights unless you bring them",
        lambda: _resnet(_basic, (2, 2, 2, 2), 1),
    ),
    "resnet50": NetworkFile(
        "ResNet-50 v1.5 (the stride is in the 3 x 3) in torchvision's key names: 25,557,032 "
        "parameters.",
        "ResNet-50, 224 x 224 images in 1000 classes; random weights unless you bring them",
        lambda: _resnet(_bottleneck, (3, 4, 6, 3), 4),
    ),
    "mobilenet_v2": NetworkFile(
        "MobileNet-v2 (Sandler et al. 2018) in torchvision's key names: 3,504,872 parameters.",
        "MobileNet-v2, 224 x 224 images in 1000 classes; random weights unless you bring them",
        _mobilenet_v2,
    ),
}


def network_text(name: str) -> str:
    """Return the text of a network file."""
    file = FILES[name]
    image = ", ".join(f"{key}: {_told(value)}" for key, value in _IMAGE.items())
    lines = (
        f"# {file.remark}",
        "# Weights: run FILE.pt --network "
        + name
        + " takes a state dict; without one they are drawn.",
        f"name: {name}",
        f"description: {file.description}",
        "weights: random:seed=0",
        f"input: {{{image}}}",
        *_tail(file.layers()),
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write every file."""
    for name in FILES:
        (FOLDER / f"{name}.yaml").write_text(network_text(name), encoding="utf-8")


if __name__ == "__main__":
    main()
