"""What is wrong with a plan is told in one message, and nothing of it is run."""

import copy
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fqir_plans import PlanBuilder, tensor, write_plan

from spusim.api import load_arch, load_plan, load_stream
from spusim.compiler import CompileError
from spusim.compiler.network import compile_network
from spusim.errors import SpusimError
from spusim.frontend import StreamError, quantise_input
from spusim.frontend.fqir import PlanError
from spusim.frontend.fqir import plan as plan_file

Change = Callable[[dict], object]


@pytest.fixture(scope="module")
def good() -> dict:
    """A plan with a product, a table, a window and a state."""
    p = PlanBuilder(1, 8)
    frames = p.op(
        "temporal_unfold", {"x": "x", "buffer": p.state(16)}, 24, kernel_size=3, dilation=1,
        buffer_length=2,
    )  # fmt: skip
    hidden, state = p.curve(p.linear(frames, 8), np.tanh), p.state(8)
    p.assign(state, p.add(hidden, state))
    return p.plan(p.linear(p.op("relu", {"x": state}, 8), 4))


def refused(folder: Path, plan: dict, arch: str = "spu001", *settings: str) -> str:
    """Return the one line with which a plan is refused."""
    path = write_plan(folder, plan)
    with pytest.raises(PlanError) as caught:
        load_plan(path, load_arch(arch, settings))
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    assert len(message) < 900
    return message


def arith(plan: dict) -> dict:
    return plan["subgraphs"]["ARITH"]


def ops(plan: dict, name: str) -> list[dict]:
    return [node for node in arith(plan)["nodes"] if node["op_name"] == name]


def weights(plan: dict) -> dict:
    """The first matrix."""
    return next(t for t in arith(plan)["parameters"] if len(t["shape"]) == 2)


def table(plan: dict) -> dict:
    return next(t for t in arith(plan)["parameters"] if "table_values" in t["name"])


def test_good_is_good(good: dict, tmp_path: Path) -> None:
    network = load_plan(write_plan(tmp_path, good), load_arch("spu001"))
    assert network.name == "net"
    assert (network.input.size, len(network.states)) == (8, 2)


CHANGES: dict[str, tuple[Change, list[str]]] = {
    "unknown operation": (
        lambda p: (ops(p, "relu")[0].update(op_name="erf"), ops(p, "lut")[0].update(op_name="fft")),
        ["fft (1 times)", "erf (1 times)", "addmm", "temporal_conv2d"],
    ),
    "operation that only loops have": (
        lambda p: ops(p, "relu")[0].update(op_name=None, subgraph="LOOP"), ["None (1 times)"],
    ),
    "operation in the wrong graph": (
        lambda p: ops(p, "relu")[0].update(op_name="quantize"), ["belongs into QUANT"],
    ),
    "dtype of a weight": (
        lambda p: weights(p).update(dtype="fqint24"), ["fqint24", "%p", "fqint8"],
    ),
    "dtypes of weight and output": (
        lambda p: (weights(p).update(dtype="fqint24"), arith(p)["outputs"][0].update(dtype="bf16")),
        ["fqint24", "bf16"],
    ),
    "width of a result": (
        lambda p: ops(p, "addmm")[0]["constants"].update(bw_out=24), ["bw_out (=24)", "16"],
    ),
    "version of MAIN": (lambda p: p.update(version=2), ["version 2", "version 1"]),
    "version of a graph": (lambda p: arith(p).update(version="1.1"), ["version 1.1"]),
    "no version": (lambda p: p.pop("version"), ["version None"]),
    "no ARITH": (lambda p: p["subgraphs"].pop("ARITH"), ["no graph ARITH", "INIT"]),
    "no QUANT": (lambda p: p["subgraphs"].pop("QUANT"), ["no graph QUANT"]),
    "no DEQUANT": (lambda p: p["subgraphs"].pop("DEQUANT"), ["no graph DEQUANT"]),
    "no INIT, so no state": (
        lambda p: (p["subgraphs"].pop("INIT"), p["nodes"].pop(2)), ["nothing in the plan makes"],
    ),
    "another graph": (
        lambda p: p["subgraphs"].update(LOOP={**arith(p), "name": "LOOP"}), ["the graph LOOP"],
    ),
    "dangling tensor": (
        lambda p: ops(p, "relu")[0]["inputs"].update(x="%x.99"), ["%x.99", "nothing", "relu"],
    ),
    "dangling output": (
        lambda p: arith(p)["outputs"][0].update(name="%y"), ["output of ARITH takes %y"],
    ),
    "tensor before it is made": (
        lambda p: arith(p)["nodes"].reverse(), ["before it is made", "zeros"],
    ),
    "cycle": (
        lambda p: ops(p, "addmm")[0]["inputs"].update(x=ops(p, "addmm")[1]["outputs"][0]),
        ["before it is made"],
    ),
    "takes itself": (
        lambda p: ops(p, "relu")[0]["inputs"].update(x=ops(p, "relu")[0]["outputs"][0]),
        ["before it is made"],
    ),
    "made twice": (
        lambda p: ops(p, "relu")[0].update(outputs=ops(p, "lut")[0]["outputs"]), ["twice"],
    ),
    "shape of a weight": (
        lambda p: weights(p).update(shape=[8, 24]), ["(24, 8)", "(8, 24)"],
    ),
    "product of other sizes": (
        lambda p: ops(p, "addmm")[0]["inputs"].update(x="x"), ["(8,)", "(24, 8)"],
    ),
    "sum of other sizes": (
        lambda p: ops(p, "vvadd")[0]["inputs"].update(y=ops(p, "temporal_unfold")[0]["outputs"][0]),
        ["(24,)", "one element"],
    ),
    "bias of another size": (
        lambda p: ops(p, "addmm")[0]["inputs"].update(bias=ops(p, "addmm")[1]["inputs"]["bias"]),
        ["bias", "8 elements", "(4,)"],
    ),
    "state of another size": (
        lambda p: p["subgraphs"]["INIT"]["nodes"][1]["constants"].update(shape=[9]), ["(9,)"],
    ),
    "buffer of another size": (
        lambda p: p["subgraphs"]["INIT"]["nodes"][0]["constants"].update(shape=[17]),
        ["17 elements", "2 frames of 8 take 16"],
    ),
    "state that fills memory": (
        lambda p: p["subgraphs"]["INIT"]["nodes"][0]["constants"].update(shape=[10**12]),
        ["1,000,000,000,000", "at most"],
    ),
    "input that fills memory": (
        lambda p: arith(p)["inputs"][0].update(shape=[10**9, 10**9]), ["1 to 1,048,576 elements"],
    ),
    "output of another shape": (
        lambda p: arith(p)["outputs"][0].update(shape=[5]), ["(5,)", "(4,)"],
    ),
    "output of another width": (
        lambda p: arith(p)["outputs"][0].update(dtype="fqint8"), ["fqint8", "16 bits"],
    ),
    "weight outside its dtype": (
        lambda p: weights(p)["value"]["data"][0].__setitem__(0, 128), ["128", "fqint8"],
    ),
    "weights that are no numbers": (
        lambda p: weights(p)["value"]["data"][0].__setitem__(0, "AAEC"), ["integers"],
    ),
    "weights that are real": (
        lambda p: weights(p)["value"]["data"][0].__setitem__(0, 0.5), ["float64", "integers"],
    ),
    "weights that are huge": (
        lambda p: weights(p)["value"]["data"][0].__setitem__(0, 10**30), ["64 bits"],
    ),
    "weights in ragged rows": (
        lambda p: weights(p)["value"]["data"][0].append(1), ["different lengths"],
    ),
    "weights in base64": (
        lambda p: weights(p).update(value={"kind": "base64", "data": "AAEC"}), ["base64"],
    ),
    "no values": (lambda p: weights(p).update(value=None), ["no values"]),
    "no weights": (
        lambda p: (weights(p)["value"].update(data=[]), weights(p).update(shape=[0])),
        ["no elements"],
    ),
    "table that is too short": (
        lambda p: (table(p)["value"]["data"].pop(), table(p).update(shape=[255])), ["255 entries"],
    ),
    "table that begins elsewhere": (
        lambda p: ops(p, "lut")[0]["constants"].update(table_min=-127), ["-127", "every address"],
    ),
    "table entries that are wide": (
        lambda p: table(p)["value"]["data"].__setitem__(3, 40000), ["16 bits"],
    ),
    "table addresses that are wide": (
        lambda p: ops(p, "lut")[0]["constants"].update(bw_address=16), ["bw_address (=16)", "15"],
    ),
    "missing constant": (
        lambda p: ops(p, "addmm")[0]["constants"].pop("shamt_bwred"), ["lacks", "shamt_bwred"],
    ),
    "unknown constant": (
        lambda p: ops(p, "addmm")[0]["constants"].update(zero_point=3), ["zero_point"],
    ),
    "constant of another type": (
        lambda p: ops(p, "addmm")[0]["constants"].update(shamt_bwred="4"), ["an integer"],
    ),
    "constant that is a flag": (
        lambda p: ops(p, "addmm")[0]["constants"].update(rounded=1), ["true or false"],
    ),
    "missing operand": (lambda p: ops(p, "addmm")[0]["inputs"].pop("bias"), ["lacks", "bias"]),
    "unknown operand": (
        lambda p: ops(p, "relu")[0]["inputs"].update(slope="x"), ["slope", "known: x"],
    ),
    "impossible shift": (
        lambda p: ops(p, "vvadd")[0]["constants"].update(shamt_x=31), ["shamt_x (=31)", "30"],
    ),
    "several results": (lambda p: ops(p, "relu")[0]["outputs"].append("%b"), ["makes 1"]),
    "matrix that is computed": (
        lambda p: ops(p, "addmm")[0]["inputs"].update(y="x"), ["must be a parameter"],
    ),
    "quantised to another width": (
        lambda p: p["subgraphs"]["QUANT"]["nodes"][0]["constants"].update(bw=8),
        ["8 bits", "fqint16"],
    ),
    "wrong structure": (lambda p: arith(p)["nodes"].append(7), ["nodes"]),
    "name that is no text": (lambda p: ops(p, "relu")[0].update(name=3), ["name", "string"]),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_a_wrong_plan_is_refused(what: str, good: dict, tmp_path: Path) -> None:
    plan = copy.deepcopy(good)
    change, said = CHANGES[what]
    change(plan)
    message = refused(tmp_path, plan)
    for text in said:
        assert text in message, message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "0 bytes"),
        (b"\x80\x04\x95", "not JSON"),
        (b'{"nodes": [', "not JSON"),
        (b"[1, 2]", "no FQIR plan"),
        (b'{"frames": 3}', "no FQIR plan"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"nodes": 3, "subgraphs": 4, "version": 1}', "wrong"),
        (b'{"nodes": [], "subgraphs": {}, "version": 3}', "version 3"),
    ],
)
def test_files_that_are_no_plan(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "net.plan.json"
    path.write_bytes(content)
    with pytest.raises(PlanError, match=said) as caught:
        load_plan(path)
    assert str(caught.value).startswith(str(path))


def test_missing_and_huge_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PlanError, match="no such file"):
        load_plan(tmp_path / "net.plan.json")
    path = tmp_path / "huge.plan.json"
    with path.open("wb") as file:
        file.truncate(plan_file.MOST_BYTES + 1)  # sparse: nothing is read of it
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("was read"))
    with pytest.raises(PlanError, match="128 MiB"):
        load_plan(path)


def test_sums_that_may_leave_the_accumulator(tmp_path: Path) -> None:
    p = PlanBuilder(2, 64)
    y = p.parameter(np.full((64, 8), 127))
    made = p.op("matmul", {"x": "x", "y": y}, 8, shamt_bwred=-12, bw_out=16)
    plan = p.plan(made)
    bound = 64 * 127 * 2**15
    needed = bound.bit_length() + 1
    message = refused(tmp_path, plan, "spu001", f"numerics.accumulator_bits={needed - 1}")
    assert f"{bound:,}" in message
    assert f"--set numerics.accumulator_bits={needed}" in message
    arch = load_arch("spu001", [f"numerics.accumulator_bits={needed}"])
    compile_network(load_plan(write_plan(tmp_path, plan), arch), arch)


def test_sums_beyond_every_accumulator(tmp_path: Path) -> None:
    p = PlanBuilder(3, 2**18)
    y = p.parameter(np.full((2**18, 1), 2**15 - 1), "fqint16")
    message = refused(
        tmp_path, p.plan(p.op("matmul", {"x": "x", "y": y}, 1, shamt_bwred=-30, bw_out=16))
    )
    assert "no accumulator has more than 48" in message


def doubled(p: PlanBuilder) -> str:
    x = "x"
    for _ in range(40):
        x = p.op("cat", {"x0": x, "x1": x}, 2 * p.sizes[x], dim=0)
    return x


def outer(p: PlanBuilder) -> str:
    """A product of a column and a row, of 2**24 elements."""
    wide = p.op("cat", {f"x{n}": "x" for n in range(512)}, 2**12, dim=0)
    column = p.op("reshape", {"x": wide}, 2**12, shape=[2**12, 1])
    row = p.parameter(np.ones((1, 2**12), int))
    return p.op("matmul", {"x": column, "y": row}, 2**24, shamt_bwred=0, bw_out=16)


def row_sums(p: PlanBuilder) -> str:
    wide = p.op("cat", {f"x{n}": "x" for n in range(2**11)}, 2**14, dim=0)
    square = p.op("reshape", {"x": wide}, 2**14, shape=[2**12, 4])
    return p.op("sum", {"x": square}, 2**12, dim=1, keepdim=False, shamt_bwred=0, bw=16)


def zeros(p: PlanBuilder) -> str:
    return p.op("zeros", {}, 8, shape=[10**6, 10**6])


def padded(p: PlanBuilder) -> str:
    return p.conv("x", 4, 2, bands=4, taps=1, padding=10**9)


def dilated(p: PlanBuilder) -> str:
    made = p.conv("x", 4, 2, bands=4, taps=1, kernel_bands=2)
    p.nodes[-1]["constants"] |= {"dilation_band": 10**9, "padding_band": 10**5}
    return made


def wide_groups(p: PlanBuilder) -> str:
    wide = p.op("cat", {f"x{n}": "x" for n in range(1024)}, 2**13, dim=0)
    return p.conv(wide, 2**13, 2**13, taps=1, groups=2**13)


@pytest.mark.parametrize("large", [doubled, outer, row_sums, zeros, padded, dilated, wide_groups])
def test_tensors_that_would_fill_memory(large: Callable, tmp_path: Path) -> None:
    """A small file can ask for a large tensor; it is refused before it takes memory."""
    p = PlanBuilder(5, 8)
    plan = p.plan(large(p), shapes={f"%x.{p.count}": [4]})
    tracemalloc.start()
    message = refused(tmp_path, plan)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "use at most" in message or "larger than the input" in message
    assert peak < 200 << 20


def test_arithmetic_that_wraps(good: dict, tmp_path: Path) -> None:
    message = refused(tmp_path, good, "spu001", "numerics.requantize_overflow=wrap")
    assert "requantize_overflow=saturate" in message


def test_precision_that_lanes_do_not_have(tmp_path: Path) -> None:
    p = PlanBuilder(4, 16)
    path = write_plan(tmp_path, p.plan(p.linear("x", 8, wbits=4)))
    arch = load_arch("spu001")
    with pytest.raises(CompileError, match="4x16"):
        compile_network(load_plan(path, arch), arch)


def test_streams_that_do_not_fit(good: dict, tmp_path: Path) -> None:
    network = load_plan(write_plan(tmp_path, good))
    np.savez(tmp_path / "s.npz", wide=np.zeros((3, 9), int), far=np.full((3, 8), 2**15))
    with pytest.raises(StreamError, match="9 features, the network takes 8"):
        load_stream(f"{tmp_path}/s.npz:wide", network)
    with pytest.raises(StreamError, match="32768"):
        quantise_input(load_stream(f"{tmp_path}/s.npz:far", network), network)


@pytest.mark.parametrize("seed", range(60))
def test_damaged_plans_are_refused_or_run(seed: int, good: dict, tmp_path: Path) -> None:
    """Whatever a value becomes, the reader says so as an error of its own, or takes it."""
    rng = np.random.default_rng(seed)
    plan = copy.deepcopy(good)
    place = plan
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = keys[int(rng.integers(len(keys)))]
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.1:
            break
        place = inner
    junk = [None, -1, 0, 3, 2**40, 1.5, "", "x", [], {}, [[1]], True, "fqint16"]
    place[key] = junk[int(rng.integers(len(junk)))]
    try:
        network = load_plan(write_plan(tmp_path, plan), load_arch("spu001"))
    except SpusimError as error:
        assert "\n" not in str(error)
    else:
        assert network.input.size > 0


def test_tensor_entries_are_as_the_tools(good: dict) -> None:
    """The builder writes the keys that the examples have, in their order."""
    example = json.loads((Path(__file__).parent / "data" / "gru.plan.json").read_text())
    for name in ("QUANT", "ARITH", "INIT", "DEQUANT"):
        ours, theirs = good["subgraphs"][name], example["subgraphs"][name]
        assert list(ours) == list(theirs)
        assert list(ours["nodes"][0]) == list(theirs["nodes"][0])
    assert list(tensor("a", "b", [1])) == list(example["inputs"][0])
    assert [node["subgraph"] for node in example["nodes"]] == [n["subgraph"] for n in good["nodes"]]
