"""The convolutions of a ResNet-50 (torchvision's, v1.5: the stride is in the 3 x 3 layers)."""

from collections.abc import Mapping

from spusim.numerics.convolution import Convolution

IMAGE = 224  # pixels a side
_STEM_STRIDE, _POOL_STRIDE = 2, 2


def resnet50_convolutions(
    shapes: Mapping[str, tuple[int, ...]], image: int = IMAGE
) -> dict[str, Convolution]:
    """Return each layer's convolution; the last, `fc`, is one at a single position.

    shapes: layer -> (outputs, inputs, ...), names as torchvision has them; image: pixels a side,
    a multiple of 32.
    """
    return {name: _convolution(name, tuple(shape), image) for name, shape in shapes.items()}


def _convolution(name: str, shape: tuple[int, ...], image: int) -> Convolution:
    filters, channels, kernel = shape[0], shape[1], shape[2] if len(shape) > 2 else 1
    size, stride = _input_size(name, image), _stride(name)
    pad = kernel // 2
    return Convolution(
        channels, size, size, filters, kernel, kernel, (stride, stride), (pad, pad, pad, pad)
    )


def _stride(name: str) -> int:
    """Return 2 for the stem, and where the first block of stages 2 to 4 halves the image."""
    if name == "conv1":
        return _STEM_STRIDE
    halves = name.startswith(("layer2.0.", "layer3.0.", "layer4.0."))
    return 2 if halves and ("conv2" in name or "downsample" in name) else 1


def _input_size(name: str, image: int) -> int:
    """Return the pixels a side of a layer's input."""
    if name == "conv1":
        return image
    if name == "fc":
        return 1
    stage = int(name[len("layer")])
    size = image // (_STEM_STRIDE * _POOL_STRIDE) >> (stage - 1)
    at_entry = stage > 1 and ".0." in name and "conv3" not in name
    return 2 * size if at_entry else size
