"""Between planes and vectors: poolings whose planes are read or made as rows of one channel."""

from spusim.compiler.memory import words_of
from spusim.numerics.convolution import Convolution as Geometry

MOST_PLACES = 255  # of a side of the kernel, and of padding, stride and dilation
MOST_CHANNELS = 2**16 - 1  # and rows and columns


def gathering(shape: Geometry, bits: int, word_bits: int) -> Geometry | None:
    """Return the window over one channel that pools every plane of an image into one element.

    Planes are the rows of that channel, as wide as the words that a plane takes; or, where planes
    fill their words, each as many rows as the image has. None where a pooling is not of whole
    images, or such a window has no room for them.
    """
    whole = (shape.height, shape.width) == (shape.kernel_height, shape.kernel_width)
    if not whole or any(shape.padding) or shape.positions > 1 or max(shape.dilation) > 1:
        return None
    pixels, planes = shape.height * shape.width, shape.channels
    pitch = words_of(pixels, bits, word_bits) * word_bits // bits
    if max(pixels, pitch - pixels + 1) <= MOST_PLACES and max(pitch, planes) <= MOST_CHANNELS:
        return Geometry(1, planes, pitch, 1, 1, pixels, (1, pitch - pixels + 1))
    rows = planes * shape.height
    if pitch > pixels or max(shape.height, shape.width) > MOST_PLACES or rows > MOST_CHANNELS:
        return None
    return Geometry(1, rows, shape.width, 1, shape.height, shape.width, (shape.height, 1))


def scattering(channels: int, bits: int, word_bits: int) -> Geometry:
    """Return the window over one channel that puts each element of a vector into its own word."""
    return Geometry(1, channels, 1, 1, padding=(0, 0, 0, word_bits // bits - 1))
