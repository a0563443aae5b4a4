"""The proofs of no overflow let the fast path run only where it gives the stepwise result."""

import numpy as np
import pytest

import spusim
from spusim.numerics import Numerics, accumulate


@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
@pytest.mark.parametrize("bits", [24, 25, 26, 27, 28])
def test_sums_near_the_limit_equal_the_stepwise_definition(bits: int, overflow: str) -> None:
    # norms of 64 products of 8 x 16 bits are near 2**26, sums of |w| times max |x| near 2**27
    rng = np.random.default_rng(bits)
    settings = [f"numerics.accumulator_bits={bits}", f"numerics.overflow={overflow}"]
    arch = spusim.load_arch("row64", settings)
    numerics = Numerics(bits, overflow)  # type: ignore[arg-type]
    for columns in (16, 48, 64, 96):
        weight = rng.integers(-128, 128, (40, columns))
        weight[:8] = np.minimum(np.abs(weight[:8]), 127)  # rows whose partial sums go one way
        x = rng.integers(-32768, 32768, (6, columns))
        x[:3] = np.abs(x[:3]) - (x[:3] == -32768)
        found = spusim.simulate_layer(weight, x, arch, 8, 16).outputs
        for frame, sums in zip(x, found, strict=True):
            expected = accumulate(weight, frame, None, numerics)
            assert sums.tolist() == expected.tolist()


@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
def test_a_sum_one_beyond_the_accumulators_limit(overflow: str) -> None:
    # two products of 2**22 make 2**23, and 24 bits hold 2**23 - 1
    settings = ["numerics.accumulator_bits=24", f"numerics.overflow={overflow}"]
    weight, x = np.array([[-128, -128]]), np.array([[-32768, -32768]])
    found = spusim.simulate_layer(weight, x, spusim.load_arch("row64", settings), 8, 16).outputs
    numerics = Numerics(24, overflow)  # type: ignore[arg-type]
    assert found[0].tolist() == accumulate(weight, x[0], None, numerics).tolist()
    assert found[0, 0] == {"saturate": 2**23 - 1, "wrap": -(2**23)}[overflow]
