"""Constants of one value, of which a few words stand for all."""

from collections.abc import Callable

import numpy as np

from spusim.compiler.distribution import Distribution
from spusim.network.records import Constant

UNIFORM_WORDS = 1024  # of a constant of one value; few instructions, and little memory


def uniform_constants(
    plan: Distribution, elementwise: Callable[[str], bool], words: int
) -> dict[str, range]:
    """Return the words, from 0 on, that constants of one value need; equal ones have the same.

    A few words of such a constant stand for all: instructions read them again and again.
    """
    most = max(8, min(UNIFORM_WORDS, words // 32) // 8 * 8)
    found: dict[str, range] = {}
    places: dict[tuple[int, int], range] = {}
    end = 0
    for node in plan.graph.network.nodes:
        if not isinstance(node, Constant) or np.ptp(node.values) or not node.values.size:
            continue
        layout = plan.layouts[node.output.name]
        if layout.words[-1] > most and elementwise(node.output.name):
            key = int(node.values[0]), layout.bits
            if key not in places:
                places[key] = range(end, end + most)
                end += most
            found[node.output.name] = places[key]
    return found
