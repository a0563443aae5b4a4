"""The geometry of a two-dimensional convolution (T33): sizes, places of the kernel, order."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from spusim.numerics.errors import NumericsError

ORDERS = ("spatial", "channel")


@dataclass(frozen=True)
class Convolution:
    """A convolution's shapes; activations (channels, height, width), padding by side.

    Raises NumericsError for sizes that do not go together or an output without positions.
    """

    channels: int
    height: int
    width: int
    filters: int
    kernel_height: int = 1
    kernel_width: int = 1
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            least = 0 if field.name == "padding" else 1
            value = getattr(self, field.name)
            for number in value if isinstance(value, tuple) else (value,):
                if number < least:
                    raise NumericsError(
                        f"convolution: {field.name} (={value}) must be at least {least}"
                    )
        for name, value in (("channels", self.channels), ("filters", self.filters)):
            if value % self.groups:
                raise NumericsError(
                    f"convolution: groups (={self.groups}) must divide {name} (={value})"
                )
        self._check_output()

    def _check_output(self) -> None:
        top, left, bottom, right = self.padding
        sides = (
            (self.out_height, self.reach[0], "high", self.height + top + bottom),
            (self.out_width, self.reach[1], "wide", self.width + left + right),
        )
        for out, reach, how, padded in sides:
            if out < 1:
                raise NumericsError(
                    f"convolution: the output has no positions: the padded input is {padded} "
                    f"{how}, the dilated kernel {reach}; pad more, or take a smaller kernel"
                )

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns that the dilated kernel spans."""
        return (
            self.dilation[0] * (self.kernel_height - 1) + 1,
            self.dilation[1] * (self.kernel_width - 1) + 1,
        )

    @property
    def out_height(self) -> int:
        """Rows of the output."""
        padded = self.height + self.padding[0] + self.padding[2]
        return (padded - self.reach[0]) // self.stride[0] + 1

    @property
    def out_width(self) -> int:
        """Columns of the output."""
        padded = self.width + self.padding[1] + self.padding[3]
        return (padded - self.reach[1]) // self.stride[1] + 1

    @property
    def positions(self) -> int:
        """Output positions."""
        return self.out_height * self.out_width

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """(filters, channels of a group, kernel height, kernel width)."""
        inputs = self.channels // self.groups
        return self.filters, inputs, self.kernel_height, self.kernel_width

    @property
    def places(self) -> int:
        """Places of the kernel."""
        return self.kernel_height * self.kernel_width

    @property
    def dense_macs(self) -> int:
        """Multiplications of the dense convolution, those with padding too."""
        filters, inputs, height, width = self.weight_shape
        return self.positions * filters * inputs * height * width

    def offsets(self) -> Iterator[tuple[int, int]]:
        """Yield each place's row and column relative to a position's first, ky before kx."""
        for ky in range(self.kernel_height):
            for kx in range(self.kernel_width):
                yield ky * self.dilation[0], kx * self.dilation[1]


def missing_modes(stochastic: bool, nullifies: bool, partial_sums: bool) -> str:
    """Say what an architecture asks for that convolutions and poolings lack, or nothing.

    They take no zero points either: `zset` is not theirs.
    """
    asked = {
        "stochastic rounding": stochastic,
        "overflow nullify": nullifies,
        "requantised partial sums": partial_sums,
    }
    lacking = [name for name, wanted in asked.items() if wanted]
    if not lacking:
        return ""
    return (
        f"convolutions and poolings have no {' and no '.join(lacking)}; set numerics.rounding, "
        "numerics.overflow, numerics.requantize_overflow and numerics.partial_sums to others"
    )
