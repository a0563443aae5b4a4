"""Number formats of weights: integers, signs, ternary digits, or a codebook of shared weights.

docs/numbers.md has the rules, and whose they are. Only nonzero weights count: pruned ones stay
zero in every format.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from spusim.formats.codes import ENTRIES

WeightFormat = Literal["int4", "int8", "int16", "binary", "ternary", "codebook8", "codebook"]
WEIGHT_FORMATS: tuple[WeightFormat, ...] = (
    "int4", "int8", "int16", "binary", "ternary", "codebook8", "codebook",
)  # fmt: skip
STORED_BITS: dict[WeightFormat, int] = {
    "int4": 4, "int8": 8, "int16": 16, "binary": 1, "ternary": 2, "codebook8": 4, "codebook": 4,
}  # fmt: skip
_BY_BITS: dict[int, WeightFormat] = {
    1: "binary", 2: "ternary", 4: "int4", 8: "int8", 16: "int16",
}  # fmt: skip
# largest magnitude of a format's integers
LARGEST: dict[WeightFormat, int] = {
    "int4": 7, "int8": 127, "int16": 32767, "binary": 1, "ternary": 1, "codebook8": 127,
    "codebook": 32767,
}  # fmt: skip
TERNARY_THRESHOLD = 0.7  # x mean |w|, Li and Liu 2016


@dataclass(frozen=True)
class CodedWeights:
    """Integers (out, in), the real value of a unit of each row or of all (out,) or (1,).

    codebook: the integers that weights may be, 0 first; empty where they may be any.
    """

    integers: np.ndarray
    scales: np.ndarray
    codebook: tuple[int, ...] = ()


def weight_format(said: int | str) -> WeightFormat:
    """Return the format that a word, or a width in bits, means. Raises KeyError."""
    if isinstance(said, int):
        return _BY_BITS[said]
    return {form: form for form in WEIGHT_FORMATS}[said]  # type: ignore[index]


def stored_bits(said: int | str) -> int:
    """Return the bits of a stored weight of a format, said as a word or as a width."""
    return STORED_BITS[weight_format(said)]


def ideal_scales(weight: np.ndarray, form: WeightFormat, per_channel: bool) -> np.ndarray:
    """Return weight scales (1,) or (out,), none of them zero; a pruned row has the tensor's.

    Integers and codebooks: absmax over the largest integer. Signs: the mean of |w| that are kept.
    """
    measure = _kept_mean if LARGEST[form] == 1 else _absmax
    values = np.abs(weight)
    tensor = measure(values.reshape(1, -1), form)[0] or 1.0 / LARGEST[form]
    if not per_channel:
        return np.array([tensor])
    rows = measure(values, form)
    return np.asarray(np.where(rows > 0.0, rows, tensor))


def coded(
    weight: np.ndarray, scales: np.ndarray, form: WeightFormat, per_channel: bool
) -> CodedWeights:
    """Return a matrix's integers at given scales, (1,) or (out,)."""
    if LARGEST[form] == 1:
        return CodedWeights(_signs(weight, form, per_channel), scales)
    if form.startswith("codebook"):
        return _clustered(weight, scales, form)
    limit = LARGEST[form]
    integers = weight / scales[:, None]
    np.clip(np.rint(integers, out=integers), -limit, limit, out=integers)
    return CodedWeights(integers.astype(np.int8 if limit < 128 else np.int16), scales)


def _absmax(values: np.ndarray, form: WeightFormat) -> np.ndarray:
    return np.asarray(values.max(axis=1, initial=0.0) / LARGEST[form])


def _means(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return each row's mean of the chosen values; 0 where none is."""
    counts = np.maximum(chosen.sum(axis=1), 1)
    return np.asarray((values * chosen).sum(axis=1) / counts)


def _thresholds(values: np.ndarray, form: WeightFormat) -> np.ndarray:
    """Return below what magnitude each row's weights become zero, (rows,)."""
    if form == "binary":
        return np.zeros(len(values))
    return TERNARY_THRESHOLD * _means(values, values > 0)


def _kept_mean(values: np.ndarray, form: WeightFormat) -> np.ndarray:
    return _means(values, values > _thresholds(values, form)[:, None])


def _signs(weight: np.ndarray, form: WeightFormat, per_channel: bool) -> np.ndarray:
    values = np.abs(weight)
    rows = values if per_channel else values.reshape(1, -1)
    kept = values > _thresholds(rows, form)[:, None]
    return np.asarray(np.sign(weight) * kept).astype(np.int8)


def _clustered(weight: np.ndarray, scales: np.ndarray, form: WeightFormat) -> CodedWeights:
    """Share weights: the nearest of 15 means of the nonzeros, rounded to entries, or zero."""
    from spusim.frontend.shared_weights import cluster_means

    rows = np.broadcast_to(scales[:, None], weight.shape)
    nonzero = weight != 0
    units = weight[nonzero] / rows[nonzero]
    means = cluster_means(units, ENTRIES - 1)
    if len(scales) == 1 and len(means):
        # entries reach as far as they can, so that what is coded again stays as it is
        shrunk = float(np.abs(means).max()) / LARGEST[form]
        scales, means, units = scales * shrunk, means / shrunk, units / shrunk
    entries = np.rint(means).astype(np.int64)
    integers = np.zeros(weight.shape, np.int16)
    if len(means):
        nearest = np.searchsorted((means[1:] + means[:-1]) / 2, units)
        integers[nonzero] = entries[nearest]
    book = np.unique(entries)
    return CodedWeights(integers, scales, (0, *book[book != 0].tolist()))
