"""Choosing positions of a tensor: the views that padding, pooling and convolutions read."""

from collections.abc import Iterator, Sequence

import numpy as np

from spusim.frontend.layers.base import Job
from spusim.network.records import Head, Product, Requant, Tensor

CUT_CHANNELS = 8  # a view begins every piece with a word: of fewer channels, words stay empty

Picks = Sequence[int | None]  # positions, None: zeros


def padded(positions: int, left: int, right: int, mode: str) -> list[int | None]:
    """Return what each position of a padded tensor shows; mode "zeros" or "reflect".

    Reflecting leaves the edge itself out, as PyTorch does, and needs pads below `positions`.
    """
    inside = list(range(positions))
    if mode == "reflect":
        return [*inside[left:0:-1], *inside, *inside[-2 : -2 - right : -1]]
    return [None] * left + inside + [None] * right


def pad(values: np.ndarray, left: int, right: int, mode: str) -> np.ndarray:
    """Pad the positions of values (frames, positions, channels)."""
    widths = ((0, 0), (left, right), (0, 0))
    if mode == "reflect":
        return np.asarray(np.pad(values, widths, mode="reflect"))
    return np.asarray(np.pad(values, widths))


def pick(job: Job, name: str, layer: str, x: Tensor, channels: int, picks: Picks) -> Tensor:
    """Return a tensor `name` of the positions `picks` of x, position after position.

    Neighbours that stay neighbours are a view. Single positions out of order are views too, where
    they have CUT_CHANNELS or more; narrower ones are copied by a product with ones, for a view
    would give each a word of its own.
    """
    parts = [
        _part(job, f"{name}.{number}", layer, x, channels, run)
        for number, run in enumerate(_runs(picks, channels))
    ]
    if len(parts) == 1:
        return parts[0]
    return job.join(name, layer, parts)


def _part(job: Job, name: str, layer: str, x: Tensor, channels: int, run: Picks) -> Tensor:
    """Return the tensor of one run: zeros, neighbours, or a copy of positions out of order."""
    size = len(run) * channels
    known = [each for each in run if each is not None]
    if not known:
        return job.constant(name, layer, np.zeros(size), x.quantum)
    if size == x.size and known[0] == 0:
        return x
    if known == list(range(known[0], known[0] + len(run))):
        return job.cut(name, layer, x, known[0] * channels, size)
    first = min(known)
    weight = np.zeros((len(run), max(known) - first + 1), np.int8)
    weight[np.arange(len(run)), np.array(known) - first] = 1
    wide = np.kron(weight, np.eye(channels, dtype=np.int8))
    one = Requant(np.ones(1, np.int64), np.zeros(1, np.int64))
    head = Head(0, Tensor(name, size, x.quantum), one)
    windows = (first * channels,)
    job.add(Product(name, layer, x.name, wide, job.weight_bits, None, (head,), windows))
    return head.output


def _runs(picks: Picks, channels: int) -> Iterator[list[int | None]]:
    """Yield runs of zeros, of neighbours, and (few channels) of single positions."""
    runs: list[list[int | None]] = []
    for each in picks:
        if runs and _follows(runs[-1][-1], each):
            runs[-1].append(each)
        else:
            runs.append([each])
    single: list[int | None] = []
    for run in runs:
        if channels < CUT_CHANNELS and len(run) == 1 and run[0] is not None:
            single += run
            continue
        if single:
            yield single
            single = []
        yield run
    if single:
        yield single


def _follows(last: int | None, each: int | None) -> bool:
    return each is None if last is None else each == last + 1
