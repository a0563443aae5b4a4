"""The random layers that a sweep can run alone, by the key that describes them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spusim.arch import Arch
from spusim.arch.spec import Spec
from spusim.experiments.conv_layers import RandomConv, check_conv
from spusim.experiments.layers import RandomLinear, check_linear
from spusim.experiments.sweep.file import ConvFile, LayerFile


class LoneLayer(Spec):
    """A layer under its key, so that messages say `layer.inputs`."""

    layer: LayerFile | None = None
    conv: ConvFile | None = None


@dataclass(frozen=True)
class LoneKind:
    """What a layer must be given, how it is made, and its checked weight and activation bits."""

    needed: tuple[str, ...]
    make: type[RandomLinear] | type[RandomConv]
    bits: Callable[[Any, Arch], tuple[int, int]]


def _conv_bits(layer: RandomConv, arch: Arch) -> tuple[int, int]:
    return check_conv(layer, arch, layer.shape())


LONE_LAYERS = {
    "layer": LoneKind(("inputs", "outputs"), RandomLinear, check_linear),
    "conv": LoneKind(("in_channels", "out_channels", "kernel", "size"), RandomConv, _conv_bits),
}
