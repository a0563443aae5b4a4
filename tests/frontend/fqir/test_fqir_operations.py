"""Every operation at its limits, against the plain reference."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from fqir_agreement import check_plan
from fqir_plans import PlanBuilder
from fqir_reference import OPERATIONS as REFERENCE
from fqir_reference import WINDOWED

from spusim.frontend.fqir import OPERATIONS

CORNERS = [-32768, -32767, -16385, -256, -129, -128, -127, -3, -2, -1, 0, 1, 2, 3]
CORNERS += [126, 127, 128, 255, 16383, 16384, 32766, 32767]
TURNED = [*CORNERS[7:], *CORNERS[:7]]
ADD = {"shamt_x": 0, "shamt_y": 0, "shamt_bwred": 0, "bw": 16, "bw_x": 16, "bw_y": 16}


def check(plan: dict, rows: list[list[int]], machine: bool = True) -> np.ndarray:
    with TemporaryDirectory() as folder:
        return check_plan(Path(folder), plan, np.array(rows, np.int32), machine=machine)


def vector_plan(op: str, constants: dict, bits: int = 16, outputs: int = 16) -> dict:
    """A plan of one operation over all corners, or over two rows of them."""
    two = op.startswith("vv")
    size = len(CORNERS)
    p = PlanBuilder(1, 2 * size if two else size, bits)
    if two:
        a, b = p.op("split", {"x": "x"}, size, 2, lengths=[size, size], dim=0)
        made = p.op(op, {"x": a, "y": b}, size, **constants)
    else:
        made = p.op(op, {"x": "x"}, size, **constants)
    return p.plan(made, bits=outputs)


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize(
    ("op", "constants"),
    [
        ("vvadd", ADD),
        ("vvsub", ADD),
        ("vvadd", ADD | {"shamt_x": -3, "shamt_y": 2, "shamt_bwred": -2}),
        ("vvsub", ADD | {"shamt_x": 1, "shamt_y": -15, "shamt_bwred": 3}),
        ("vvsub", ADD | {"shamt_bwred": -9, "bw": 8}),
        ("vvadd", ADD | {"bw": 5}),
        ("vvmul", {"shamt_bwred": -15, "bw": 16}),
        ("vvmul", {"shamt_bwred": 3, "bw": 16}),
        ("vvmul", {"shamt_bwred": -20, "bw": 8}),
        ("viadd", ADD | {"y": -32768, "shamt_x": -1, "shamt_bwred": 1}),
        ("viadd", ADD | {"y": 70000, "shamt_y": -2}),
        ("vimul", {"y": -32768, "shamt_bwred": -15, "bw": 16}),
        ("vimul", {"y": 40000, "shamt_bwred": -16, "bw": 16}),
        ("shift", {"shamt": -8, "bw": 8}),
        ("shift", {"shamt": -1, "bw": 16}),
        ("shift", {"shamt": 9, "bw": 16}),
        ("shift", {"shamt": -4, "bw": 11}),
        ("shift", {"shamt": -20, "bw": 16}),
    ],
)
def test_arithmetic_at_the_limits(op: str, constants: dict, rounded: bool) -> None:
    plan = vector_plan(op, constants | {"rounded": rounded}, outputs=16)
    plan["subgraphs"]["ARITH"]["outputs"][0]["dtype"] = "fqint16"
    rows = [CORNERS, TURNED, [-32768] * len(CORNERS)]
    if op.startswith("vv"):
        rows = [[*CORNERS, *TURNED], [*TURNED, *[-32768] * len(CORNERS)], [*CORNERS, *CORNERS]]
    check(plan, rows)


def test_shifts_without_rounded_floor() -> None:
    found = check(vector_plan("shift", {"shamt": -1, "bw": 16}), [CORNERS])
    assert found[0][CORNERS.index(-1)] == -1
    found = check(vector_plan("shift", {"shamt": -1, "bw": 16, "rounded": True}), [CORNERS])
    assert found[0][CORNERS.index(-1)] == 0


@pytest.mark.parametrize("bits", [8, 16])
def test_negation_of_the_lowest_saturates(bits: int) -> None:
    low = -(2 ** (bits - 1))
    row = [low, low + 1, -1, 0, 1, -low - 1]
    p = PlanBuilder(2, len(row), bits)
    plan = p.plan(p.op("vneg", {"x": "x"}, len(row), bw=bits), bits=bits)
    assert check(plan, [row]).tolist() == [[-low - 1, -low - 1, 1, 0, -1, low + 1]]


@pytest.mark.parametrize(("bits", "bw"), [(8, 8), (8, 16), (16, 8), (16, 16)])
def test_gt0_tells_positives(bits: int, bw: int) -> None:
    low = -(2 ** (bits - 1))
    row = [low, -1, 0, 1, 2, -low - 1]
    p = PlanBuilder(2, len(row), bits)
    plan = p.plan(p.op("gt0", {"x": "x"}, len(row), bw=bw), bits=bw)
    assert check(plan, [row]).tolist() == [[0, 0, 0, 1, 1, 1]]


@pytest.mark.parametrize(
    ("address", "shamt", "lowest"), [(8, -8, -128), (8, 0, -128), (4, -12, -8), (11, -3, -1024)]
)
def test_table_addresses_saturate(address: int, shamt: int, lowest: int) -> None:
    p = PlanBuilder(3, len(CORNERS))
    entries = p.rng.integers(-(2**15), 2**15, 2**address)
    made = p.op(
        "lut", {"x": "x", "table_values": p.table(entries)}, len(CORNERS), shamt_address=shamt,
        bw_address=address, function="f", table_min=lowest,
    )  # fmt: skip
    found = check(p.plan(made), [CORNERS, TURNED])
    assert found[0][0] == entries[0]
    assert found[0][-1] == entries[-1]


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize("shift", [-12, -3, 0, 2])
@pytest.mark.parametrize("bias_shift", [-3, 0, 20])
def test_products_saturate_once(rounded: bool, shift: int, bias_shift: int) -> None:
    p = PlanBuilder(4, len(CORNERS))
    y = p.parameter(p.weights(12, len(CORNERS), 8, 0.6))
    # shifted by 20, the largest biases leave 32 bits, and saturate before they are added
    values = p.rng.integers(-(2**11), 2**11, 12)
    if bias_shift < 20:
        values = p.rng.integers(-(2**15), 2**15, 12)
    bias = p.parameter(np.where(values % 3 == 0, values // 16, values), "fqint16")
    wide = ["numerics.accumulator_bits=40"]
    made = p.op(
        "addmm", {"bias": bias, "x": "x", "y": y}, 12, rounded=rounded, shamt_bwred=shift,
        shamt_bias=bias_shift, bw_out=16,
    )  # fmt: skip
    plan = p.plan(made)
    with TemporaryDirectory() as folder:
        rows = np.array([CORNERS, TURNED, [-32768] * len(CORNERS)], np.int32)
        check_plan(Path(folder), plan, rows, machine=True, settings=wide)


def test_bias_saturates_to_32_bits() -> None:
    p = PlanBuilder(4, 8)
    y = p.parameter(np.ones((8, 4), int))
    bias = p.parameter(np.array([32767, -32768, 1, 0]), "fqint16")
    made = p.op(
        "addmm", {"bias": bias, "x": "x", "y": y}, 4, rounded=True, shamt_bwred=-20, shamt_bias=20,
        bw_out=16,
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        frames = np.zeros((1, 8), np.int32)
        wide = ["numerics.accumulator_bits=40"]
        found = check_plan(Path(folder), p.plan(made), frames, machine=True, settings=wide)
    assert found.tolist() == [[2048, -2048, 1, 0]]  # not 32767 and -32768


def test_matrix_first_and_matrices_of_ones() -> None:
    """As the tool writes a mean and what is subtracted from all elements."""
    p = PlanBuilder(5, 12)
    left = p.op(
        "matmul", {"x": p.parameter(p.rng.integers(-128, 128, (10, 12))), "y": "x"}, 10,
        shamt_bwred=-8, bw_out=16,
    )  # fmt: skip
    ones = p.parameter(np.ones((10, 1), int), "int8")
    mean = p.op("matmul", {"x": left, "y": ones}, 1, rounded=False, shamt_bwred=-3, bw_out=16)
    back = p.parameter(np.ones((1, 10), int), "int8")
    everywhere = p.op("matmul", {"x": mean, "y": back}, 10, shamt_bwred=0, bw_out=16)
    check(p.plan(p.add(left, everywhere, "vvsub")), p.frames(5).tolist())


@pytest.mark.parametrize("kind", ["vvadd", "vvsub", "vvmul"])
@pytest.mark.parametrize("single", ["x", "y"])
def test_one_element_meets_all(kind: str, single: str) -> None:
    p = PlanBuilder(6, 9)
    one, many = p.op("split", {"x": "x"}, 0, 2, lengths=[1, 8], dim=0)
    p.sizes |= {one: 1, many: 8}
    x, y = (one, many) if single == "x" else (many, one)
    constants = {"shamt_bwred": -15, "bw": 16} if kind == "vvmul" else ADD | {"shamt_x": -2}
    check(p.plan(p.op(kind, {"x": x, "y": y}, 8, **constants)), p.frames(6).tolist())


def test_parameters_as_vectors() -> None:
    p = PlanBuilder(7, 8)
    scale = p.parameter(p.rng.integers(-(2**15), 2**15, 8), "fqint16")
    offset = p.parameter(p.rng.integers(-128, 128, 1), "fqint8")
    made = p.add(p.multiply("x", scale, -15), offset)
    both = p.op("cat", {"x0": made, "x1": scale, "x2": offset}, 17, dim=0)
    check(p.plan(both), p.frames(4).tolist())


def test_shapes_of_several_dimensions() -> None:
    p = PlanBuilder(8, 24)
    cube = p.op("reshape", {"x": "x"}, 24, shape=[2, 3, 4])
    a, b = p.op("chunk", {"x": cube}, 12, 2, chunks=2, dim=2)
    c, d, e = p.op("split", {"x": cube}, 8, 3, lengths=[1, 1, 1], dim=-2)
    wide = p.op("cat", {"x0": b, "x1": a}, 24, dim=2)
    deep = p.op("cat", {"x0": e, "x1": c, "x2": d}, 24, dim=1)
    both = p.add(wide, deep, shamt_bwred=-1)
    sums = [
        p.op("sum", {"x": both}, size, dim=dim, keepdim=keep, shamt_bwred=shift, bw=16)
        for dim, keep, size, shift in ((1, False, 8, -1), ([0, 2], True, 3, -3), (-1, True, 6, 1))
    ]
    flat = [p.op("reshape", {"x": s}, p.sizes[s], shape=[-1]) for s in sums]
    final = p.op("cat", {"x0": flat[0], "x1": flat[1], "x2": flat[2]}, 17, dim=0)
    check(p.plan(final), p.frames(4).tolist())


def test_uneven_chunks() -> None:
    p = PlanBuilder(9, 11)
    parts = p.op("chunk", {"x": "x"}, 0, 3, chunks=3, dim=0)
    turned = p.op("cat", {f"x{n}": part for n, part in enumerate(parts[::-1])}, 11, dim=0)
    check(p.plan(turned), p.frames(3).tolist())


def test_a_state_has_its_new_value_after_assign() -> None:
    p = PlanBuilder(10, 8)
    state = p.state(8)
    before = p.op("copy", {"x": state}, 8)
    p.assign(state, p.add("x", state))
    after = p.add(state, before, "vvsub")
    frames = p.frames(5)
    found = check(p.plan(p.op("cat", {"x0": after, "x1": before}, 16, dim=0)), frames.tolist())
    np.testing.assert_array_equal(found[0], [*frames[0], *[0] * 8])
    assert found[1][8:].tolist() == frames[0].tolist()


def test_states_swap() -> None:
    p = PlanBuilder(11, 6)
    a, b = p.state(6), p.state(6)
    old = p.op("copy", {"x": a}, 6)
    p.assign(a, p.add(b, "x"))
    p.assign(b, old)
    check(p.plan(p.add(a, b)), p.frames(6).tolist())


def test_widths_of_states_and_cats_are_found() -> None:
    """A state is as wide as what is assigned, and narrow parts are widened where they meet."""
    p = PlanBuilder(12, 8)
    state, idle = p.state(8), p.state(4)
    narrow = p.op("shift", {"x": "x"}, 8, shamt=-8, bw=8)
    both = p.op("cat", {"x0": narrow, "x1": "x", "x2": idle}, 20, dim=0)
    kept, _ = p.op("split", {"x": both}, 0, 2, lengths=[8, 12], dim=0)
    p.sizes[kept] = 8
    made = p.add(kept, state)
    p.assign(state, made)
    zero = p.op("zeros", {}, 8, shape=[8])
    check(p.plan(p.add(made, zero), both), p.frames(5).tolist())


@pytest.mark.parametrize("which", ["input", "state", "parameter", "reshaped"])
def test_outputs_that_nothing_computes(which: str) -> None:
    p = PlanBuilder(13, 8)
    state = p.state(8)
    p.assign(state, p.add("x", state))
    name = {
        "input": "x",
        "state": state,
        "parameter": p.parameter(p.rng.integers(-9, 9, 8)),
        "reshaped": p.op("reshape", {"x": "x"}, 8, shape=[8]),
    }[which]
    check(p.plan(name), p.frames(3).tolist())


def test_several_inputs_and_outputs() -> None:
    p = PlanBuilder(14, 8)
    plan = p.plan(p.op("relu", {"x": "x"}, 8), p.op("vneg", {"x": "x"}, 8, bw=16))
    arith, quant = (plan["subgraphs"][name] for name in ("ARITH", "QUANT"))
    second = {**arith["inputs"][0], "name": "x2"}
    arith["inputs"].append(second)
    quant["nodes"].append({**quant["nodes"][0], "outputs": ["x2"], "inputs": {"x": "%i.2"}})
    arith["nodes"][1]["inputs"]["x"] = "x2"
    check(plan, p.rng.integers(-9, 9, (3, 16)).tolist())


def test_wide_tables_of_8_bit_plans_stay_8_bits() -> None:
    p = PlanBuilder(15, 16, bits=8)
    table = p.table(np.arange(-128, 128)[::-1])
    made = p.op(
        "lut", {"x": "x", "table_values": table}, 16, shamt_address=0, bw_address=8, function="f",
        table_min=-128,
    )  # fmt: skip
    check(p.plan(p.linear(made, 8, wbits=4, bits=8, shift=-5), bits=8), p.frames(4).tolist())


def test_every_operation_has_a_reference() -> None:
    inner = {name for name, op in OPERATIONS.items() if op.graph not in ("QUANT", "DEQUANT")}
    assert inner - {"assign"} == set(REFERENCE) | set(WINDOWED)


@pytest.mark.parametrize("end", [".next", ".spread", ".copy"])
def test_names_that_the_compiler_gives_are_no_trouble(end: str) -> None:
    """A window over a window leaves states that show one another, which the compiler copies."""
    p = PlanBuilder(16, 3)
    count = iter(range(99))
    p.name = lambda stem="%x": f"%x{'.a' * next(count)}{end}"
    x = "x"
    for _ in range(2):
        inputs = {"x": x, "buffer": p.state(p.sizes[x])}
        size = 2 * p.sizes[x]
        x = p.op("temporal_unfold", inputs, size, kernel_size=2, dilation=1, buffer_length=1)
    check(p.plan(p.op("relu", {"x": x}, 12)), p.frames(4).tolist())
