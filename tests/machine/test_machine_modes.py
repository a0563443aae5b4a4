"""Every combination of the arithmetic's modes on one product: golden, machine, big integers."""

import numpy as np
from big_integers import brought_into, divided, random_64, summed
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import core, hand_arch, matrix, program, scales, segment

from spusim import golden, machine
from spusim.program import InputPort, OutputPort

OVERFLOWS = ("saturate", "wrap", "nullify")
SKIPPING = ("skip", "gate", "dense")
WIDTHS = (24, 25, 31, 32, 33, 40, 48)
SCALE = 60


@st.composite
def products(draw):
    """Draw a matrix, frames, and everything that says how they are multiplied."""
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    bits = draw(st.sampled_from(WIDTHS))
    zero = draw(st.sampled_from((-(2**15), -128, -1, 0, 1, 2**15 - 1)))
    weight = rng.integers(-128, 128, (rows, columns)) * (rng.random((rows, columns)) < 0.7)
    frames = rng.integers(-(2**15), 2**15, (2, columns))
    frames = np.where(
        rng.random(frames.shape) < 0.5, frames, rng.choice((zero, 0, -(2**15), 2**15 - 1))
    )
    limit = 2 ** (min(bits, 32) - 1)
    bias = rng.choice((-limit, limit - 1, 0, 5, int(rng.integers(-limit, limit))), rows)
    shift = draw(st.integers(0, 8))
    partial = (
        draw(st.sampled_from((0, 0, 1, 2, 3, 5))), shift, draw(st.integers(2, bits - shift)),
        draw(st.sampled_from(("floor", "half_up", "half_even"))),
    )  # fmt: skip
    scale = (int(rng.integers(1, 2**31)), int(rng.integers(20, 50)))
    position = draw(st.integers(-4, 9))
    return seed, weight, bias, frames, bits, zero, partial, position, scale


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    products(),
    st.sampled_from(OVERFLOWS),
    st.sampled_from(OVERFLOWS),
    st.sampled_from(("floor", "half_up", "half_even", "stochastic")),
    st.sampled_from((0, -128, 127, -300)),
    st.sampled_from(("none", "relu")),
)
def test_products_in_every_mode(case, overflow, result, rounding, zero_d, table):
    seed, weight, bias, frames, bits, zero, partial, position, scale = case
    every, shift, kept, way = partial
    rows, columns = weight.shape
    expected = []
    for frame, x in enumerate(frames.tolist()):
        for r in range(rows):
            terms = [int(w) * (v - zero) for w, v in zip(weight[r], x, strict=True)]
            acc = summed(int(bias[r]), terms, bits, overflow, partial, position)
            random = random_64(seed, 9, frame, 0, 100 + r)
            value = divided(acc * scale[0], scale[1], rounding, random) + zero_d
            value = brought_into(value, 8, result)
            value = max(value, zero_d) if table == "relu" else value
            expected.append(brought_into(value, 8, result))
    text = f"""
.thread main tokens=1
recv channel=0, dst=0, words={-(-columns // 4)}
zset operand={zero}, result={zero_d}
pset position={position}
spmv m=0, src=0, acc=0
vset len={rows}, wa=8, wb=8, wd=8, sa=0, sb=0, sd=0
rset stream=9, first=100
vqm d=20, acc=0, scale={SCALE // 4}, table={table}
send dest={{host}}, channel=0, src=20, words=1, thread=0
end
"""
    found = set()
    for skipping in SKIPPING:
        arch = hand_arch(
            "core.precisions={8x16: 1, 8x8: 1, 16x16: null}", "core.layer_weight_bits=8",
            f"core.sparse.activations={skipping}", f"numerics.accumulator_bits={bits}",
            f"numerics.overflow={overflow}", f"numerics.requantize_overflow={result}",
            f"numerics.rounding={rounding}", f"numerics.seed={seed}",
            f"numerics.partial_sums={{every: {every}, shift: {shift}, bits: {kept}}}",
            f"numerics.partial_sums.rounding={way}",
        )  # fmt: skip
        image = core(
            text,
            (matrix(weight, bias, "bitmap", weight_bits=8, bias_bits=32),),
            segments=(scales(SCALE, [scale]), segment(0, [0])),
        )
        whole = program(
            image, arch=arch, input=InputPort((0,), 0, 0, columns, 16),
            outputs=(OutputPort(0, 0, 0, rows, 8),),
        )  # fmt: skip
        outputs = golden.run(whole, frames, (0,)).outputs
        assert outputs.reshape(-1).tolist() == expected
        assert (machine.run(whole, arch, frames).outputs == outputs).all()
        found.add(outputs.tobytes())
    assert len(found) == 1
