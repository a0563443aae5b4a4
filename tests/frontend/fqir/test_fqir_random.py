"""Random plans of all operations, against the plain reference."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from fqir_agreement import check_plan
from fqir_plans import PlanBuilder
from hypothesis import given, settings
from hypothesis import strategies as st

SHIFT = st.integers(-17, 3)


@st.composite
def random_plan(draw) -> tuple[PlanBuilder, dict]:
    """Draw operations one after the other, each taking what is there."""
    bits = draw(st.sampled_from([8, 16]))
    p = PlanBuilder(draw(st.integers(0, 2**20)), draw(st.integers(3, 20)), bits)
    there = ["x"]
    states: list[str] = []
    for _ in range(draw(st.integers(2, 9))):
        kind = draw(st.sampled_from(list(RANDOM)))
        made = RANDOM[kind](draw, p, draw(st.sampled_from(there)), there)
        there += made if isinstance(made, list) else [made]
        if draw(st.integers(0, 4)) == 0:
            states.append(p.state(p.sizes[there[-1]]))
            there.append(states[-1])
            p.assign(states[-1], there[-2])
    last = p.op("shift", {"x": there[-1]}, p.sizes[there[-1]], shamt=draw(SHIFT), bw=16)
    return p, p.plan(last)


def _draw_pair(draw, p: PlanBuilder, x: str, there: list[str]) -> str:
    other = draw(st.sampled_from([t for t in there if p.sizes[t] in (1, p.sizes[x])]))
    bw = draw(st.sampled_from([4, 8, 13, 16]))
    rounded = draw(st.booleans())
    kind = draw(st.sampled_from(["vvadd", "vvsub", "vvmul"]))
    inputs = {"x": x, "y": other}
    if kind == "vvmul":
        constants = {"shamt_bwred": draw(SHIFT), "bw": bw}
    else:
        constants = {"shamt_x": draw(SHIFT), "shamt_y": draw(SHIFT)}
        constants |= {"shamt_bwred": draw(SHIFT), "bw": bw, "bw_x": 16, "bw_y": 16}
    return p.op(kind, inputs, p.sizes[x], rounded=rounded, **constants)


def _draw_immediate(draw, p: PlanBuilder, x: str, there: list[str]) -> str:
    y = draw(st.integers(-(2**15), 2**15 - 1))
    kind = draw(st.sampled_from(["viadd", "vimul"]))
    constants = {"shamt_bwred": draw(SHIFT), "bw": 16, "y": y, "rounded": draw(st.booleans())}
    if kind == "viadd":
        constants |= {"shamt_x": draw(SHIFT), "shamt_y": draw(SHIFT), "bw_x": 16, "bw_y": 16}
    return p.op(kind, {"x": x}, p.sizes[x], **constants)


def _draw_product(draw, p: PlanBuilder, x: str, there: list[str]) -> str:
    rows = draw(st.integers(1, 20))
    return p.linear(x, rows, bits=16, density=0.5, shift=draw(st.integers(-12, 1)))


def _draw_parts(draw, p: PlanBuilder, x: str, there: list[str]) -> str | list[str]:
    size = p.sizes[x]
    if size < 2:
        return p.op("copy", {"x": x}, size)
    first = draw(st.integers(1, size - 1))
    made = p.op("split", {"x": x}, 0, 2, lengths=[first, size - first], dim=0)
    p.sizes |= {made[0]: first, made[1]: size - first}
    return made


def _draw_cat(draw, p: PlanBuilder, x: str, there: list[str]) -> str:
    parts = [x, *draw(st.lists(st.sampled_from(there), min_size=1, max_size=2))]
    size = sum(p.sizes[part] for part in parts)
    return p.op("cat", {f"x{n}": part for n, part in enumerate(parts)}, size, dim=0)


def _draw_unfold(draw, p: PlanBuilder, x: str, there: list[str]) -> str:
    taps, dilation = draw(st.integers(2, 3)), draw(st.integers(1, 2))
    length = (taps - 1) * dilation
    inputs = {"x": x, "buffer": p.state(length * p.sizes[x])}
    size = taps * p.sizes[x]
    constants = {"kernel_size": taps, "dilation": dilation, "buffer_length": length}
    return p.op("temporal_unfold", inputs, size, **constants)


def _draw_unary(draw, p: PlanBuilder, x: str, there: list[str]) -> str:
    kind, constants = draw(
        st.sampled_from([("relu", {}), ("vneg", {"bw": 16}), ("gt0", {"bw": 8})])
    )
    return p.op(kind, {"x": x}, p.sizes[x], **constants)


def _draw_sum(draw, p: PlanBuilder, x: str, there: list[str]) -> str:
    shift = draw(st.integers(-6, 1))
    return p.op("sum", {"x": x}, 1, dim=0, keepdim=True, shamt_bwred=shift, bw=16)


def _draw_conv(draw, p: PlanBuilder, x: str, there: list[str]) -> str:
    size = p.sizes[x]
    bands = draw(st.sampled_from([n for n in (1, 2, 3, 4) if size % n == 0]))
    channels = size // bands
    groups = draw(st.sampled_from([1, channels]))
    kernel = draw(st.integers(1, min(bands, 2)))
    return p.conv(
        x, draw(st.integers(1, 6)) if groups == 1 else channels, channels,
        taps=draw(st.integers(1, 3)), dilation=draw(st.integers(1, 2)), groups=groups, bands=bands,
        kernel_bands=kernel, padding=draw(st.integers(0, 1)), stride=draw(st.integers(1, 2)),
        bias=draw(st.booleans()),
    )  # fmt: skip


RANDOM = {
    "pair": _draw_pair,
    "immediate": _draw_immediate,
    "product": _draw_product,
    "parts": _draw_parts,
    "cat": _draw_cat,
    "unfold": _draw_unfold,
    "unary": _draw_unary,
    "sum": _draw_sum,
    "conv": _draw_conv,
}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(random_plan(), st.sampled_from([1, 2]))
def test_random_plans(drawn: tuple[PlanBuilder, dict], cores: int) -> None:
    check_random(drawn, cores, machine=False)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(random_plan(), st.sampled_from([1, 2]))
def test_random_plans_on_the_machine(drawn: tuple[PlanBuilder, dict], cores: int) -> None:
    check_random(drawn, cores, machine=True)


def check_random(drawn: tuple[PlanBuilder, dict], cores: int, machine: bool) -> None:
    builder, plan = drawn
    with TemporaryDirectory() as folder:
        check_plan(
            Path(folder), plan, builder.frames(4).astype(np.int32), machine=machine, cores=[cores],
            settings=["numerics.accumulator_bits=48"],
        )  # fmt: skip
