"""What an FQIR plan computes, in plain Python integers, read from its JSON alone.

Written from the integer semantics of the design, section 10; imports nothing of spusim. A tensor
is (shape, flat list of ints in row-major order).
"""

import json
from itertools import product
from math import prod
from pathlib import Path

Array = tuple[tuple[int, ...], list[int]]


def run_plan(plan: dict, frames: list[list[int]]) -> list[list[int]]:
    """Run every frame through ARITH, states from INIT first: one list of outputs a frame."""
    graphs = plan["subgraphs"]
    state: dict[str, Array] = {}
    for node in graphs["INIT"]["nodes"] if "INIT" in graphs else []:
        state[node["outputs"][0]] = zeros(node["constants"])
    arith = graphs["ARITH"]
    known = {p["name"]: parameter(p) for p in arith["parameters"]}
    outputs = []
    for frame in frames:
        objects = state | known
        taken = 0
        for tensor in arith["inputs"]:
            size = prod(tensor["shape"])
            objects[tensor["name"]] = (tuple(tensor["shape"]), list(frame[taken : taken + size]))
            taken += size
        for node in arith["nodes"]:
            step(node, objects)
        outputs.append([v for out in arith["outputs"] for v in objects[out["name"]][1]])
        state = {name: objects[name] for name in state}
    return outputs


def load_plan_file(path: Path) -> dict:
    """Return a plan as plain objects."""
    return json.loads(path.read_text())


def parameter(tensor: dict) -> Array:
    """Return a parameter's values."""
    flat: list[int] = []

    def collect(values) -> None:
        for value in values:
            if isinstance(value, list):
                collect(value)
            else:
                flat.append(value)

    collect(tensor["value"]["data"])
    return tuple(tensor["value"]["shape"]), flat


def quantise(frame: list[float], plan: dict) -> list[int]:
    """Do what QUANT does: divide, floor, clip."""
    constants = plan["subgraphs"]["QUANT"]["nodes"][0]["constants"]
    return [sat(int(value / 2 ** constants["quanta"] // 1), constants["bw"]) for value in frame]


def sat(value: int, bits: int) -> int:
    """Saturate to signed `bits`."""
    return min(max(value, -(2 ** (bits - 1))), 2 ** (bits - 1) - 1)


def move(value: int, amount: int, rounded: bool = False) -> int:
    """Shift left by a positive amount, right by a negative one, flooring or adding half first."""
    if amount >= 0:
        return value * 2**amount
    if rounded:
        value += 2 ** (-amount - 1)
    return value // 2**-amount


def step(node: dict, objects: dict[str, Array]) -> None:
    """Run one operation."""
    inputs = {key: objects[name] for key, name in node["inputs"].items()}
    c = node["constants"]
    kind = node["op_name"]
    if kind == "assign":
        objects[node["inputs"]["y"]] = inputs["x"]
        return
    if kind in ("temporal_unfold", "temporal_conv2d"):
        made, buffer = WINDOWED[kind](inputs, c)
        if buffer is not None:
            objects[node["inputs"]["buffer"]] = buffer
        objects[node["outputs"][0]] = made
        return
    made = OPERATIONS[kind](inputs, c)
    for name, value in zip(
        node["outputs"], made if isinstance(made, list) else [made], strict=True
    ):
        objects[name] = value


def zeros(c: dict) -> Array:
    shape = tuple(c["shape"]) if isinstance(c["shape"], list) else (c["shape"],)
    return shape, [0] * prod(shape)


def pairs(x: Array, y: Array) -> tuple[tuple[int, ...], list[tuple[int, int]]]:
    """Pair elements of equal shapes, or of one with one element."""
    size = max(len(x[1]), len(y[1]))
    left, right = (v[1] * size if len(v[1]) == 1 else v[1] for v in (x, y))
    rank = max(len(x[0]), len(y[0]))
    shapes = [(1,) * (rank - len(v[0])) + tuple(v[0]) for v in (x, y)]
    return tuple(map(max, *shapes)) if rank else (), list(zip(left, right, strict=True))


def added(x: Array, y: Array, c: dict, sign: int) -> Array:
    shape, found = pairs(x, y)
    sums = [move(a, c["shamt_x"]) + sign * move(b, c["shamt_y"]) for a, b in found]
    return shape, [sat(move(s, c["shamt_bwred"], c.get("rounded", False)), c["bw"]) for s in sums]


def multiplied(x: Array, y: Array, c: dict) -> Array:
    shape, found = pairs(x, y)
    rounded = c.get("rounded", False)
    return shape, [sat(move(a * b, c["shamt_bwred"], rounded), c["bw"]) for a, b in found]


def matrix_product(x: Array, y: Array) -> Array:
    """x @ y, x of any shape and y a matrix, or x a matrix and y a vector."""
    if len(y[0]) == 1:
        rows, inner = x[0]
        return (rows,), [
            sum(x[1][r * inner + i] * y[1][i] for i in range(inner)) for r in range(rows)
        ]
    inner, columns = y[0]
    rows = len(x[1]) // inner
    values = [
        sum(x[1][r * inner + i] * y[1][i * columns + j] for i in range(inner))
        for r in range(rows)
        for j in range(columns)
    ]
    return (*x[0][:-1], columns), values


def addmm(i: dict[str, Array], c: dict) -> Array:
    shape, sums = matrix_product(i["x"], i["y"])
    rounded = c.get("rounded", False)
    bias = [sat(move(b, c["shamt_bias"], rounded), 32) for b in i["bias"][1]]
    moved = [move(s + b, c["shamt_bwred"], rounded) for s, b in zip(sums, bias, strict=True)]
    return shape, [sat(m, c["bw_out"]) for m in moved]


def matmul(i: dict[str, Array], c: dict) -> Array:
    shape, sums = matrix_product(i["x"], i["y"])
    return shape, [
        sat(move(s, c["shamt_bwred"], c.get("rounded", False)), c["bw_out"]) for s in sums
    ]


def each(x: Array, function) -> Array:
    return x[0], [function(v) for v in x[1]]


def lut(i: dict[str, Array], c: dict) -> Array:
    table = i["table_values"][1]

    def look(value: int) -> int:
        return table[sat(move(value, c["shamt_address"]), c["bw_address"]) - c["table_min"]]

    return each(i["x"], look)


def parts(x: Array, axis: int, lengths: list[int]) -> list[Array]:
    """Cut along an axis."""
    shape = x[0]
    axis %= len(shape)
    made, first = [], 0
    for length in lengths:
        kept = (*shape[:axis], length, *shape[axis + 1 :])
        values = []
        for index in product(*map(range, kept)):
            index = (*index[:axis], index[axis] + first, *index[axis + 1 :])
            values.append(x[1][flat(index, shape)])
        made.append((kept, values))
        first += length
    return made


def flat(index: tuple[int, ...], shape: tuple[int, ...]) -> int:
    where = 0
    for i, length in zip(index, shape, strict=True):
        where = where * length + i
    return where


def chunk(i: dict[str, Array], c: dict) -> list[Array]:
    whole, rest = divmod(i["x"][0][c["dim"]], c["chunks"])
    return parts(i["x"], c["dim"], [whole + (n < rest) for n in range(c["chunks"])])


def cat(i: dict[str, Array], c: dict) -> Array:
    pieces = [i[f"x{n}"] for n in range(len(i))]
    axis = c["dim"] % len(pieces[0][0])
    length = sum(p[0][axis] for p in pieces)
    shape = (*pieces[0][0][:axis], length, *pieces[0][0][axis + 1 :])
    values = [0] * prod(shape)
    first = 0
    for kept, found in pieces:
        for number, index in enumerate(product(*map(range, kept))):
            index = (*index[:axis], index[axis] + first, *index[axis + 1 :])
            values[flat(index, shape)] = found[number]
        first += kept[axis]
    return shape, values


def reshape(i: dict[str, Array], c: dict) -> Array:
    shape, size = list(c["shape"]), len(i["x"][1])
    if -1 in shape:
        shape[shape.index(-1)] = size // prod(n for n in shape if n != -1)
    return tuple(shape), i["x"][1]


def total(i: dict[str, Array], c: dict) -> Array:
    shape, values = i["x"]
    dims = c["dim"] if isinstance(c["dim"], list) else [c["dim"]]
    dims = {d % len(shape) for d in dims}
    kept = tuple(1 if n in dims else length for n, length in enumerate(shape))
    sums = [0] * prod(kept)
    for number, index in enumerate(product(*map(range, shape))):
        sums[flat(tuple(0 if n in dims else k for n, k in enumerate(index)), kept)] += values[
            number
        ]
    final = kept if c["keepdim"] else tuple(n for d, n in enumerate(kept) if d not in dims)
    return final, [sat(move(s, c["shamt_bwred"]), c["bw"]) for s in sums]


def frames_of(x: Array, i: dict[str, Array], kernel: int, dilation: int):
    """Return a window's frames, the oldest first, and the buffer after it."""
    size = len(x[1])
    if "buffer" not in i:
        return [x[1]], None
    shape, old = i["buffer"]
    everything = old + x[1]
    rows = [everything[n : n + size] for n in range(0, len(everything), size)]
    taken = rows[::dilation]
    assert len(taken) == kernel
    return taken, (shape, everything[size:])


def temporal_unfold(i: dict[str, Array], c: dict):
    frames, buffer = frames_of(i["x"], i, c["kernel_size"], c["dilation"])
    values = [v for frame in frames for v in frame]
    return ((len(values),), values), buffer


def temporal_conv2d(i: dict[str, Array], c: dict):
    frames, buffer = frames_of(i["input"], i, c["kernel_size_t"], c["dilation_t"])
    (out, inner, bands, taps), weight = i["weight"]
    channels, pad = c["d_band_in"], c["padding_band"]
    reach = (bands - 1) * c["dilation_band"] + 1
    per_group = out // c["groups"]
    values = []
    for first in range(-pad, c["n_band_in"] + pad - reach + 1, c["stride_band"]):
        for o in range(out):
            acc = move(i["bias"][1][o], c["shamt_bias"]) if "bias" in i else 0
            for n, band, tap in product(range(inner), range(bands), range(taps)):
                where = first + band * c["dilation_band"]
                if 0 <= where < c["n_band_in"]:
                    channel = o // per_group * inner + n
                    x = frames[tap][where * channels + channel]
                    acc += weight[((o * inner + n) * bands + band) * taps + tap] * x
            values.append(sat(move(acc, c["shamt_bwred"]), c["bw"]))
    return ((len(values),), values), buffer


WINDOWED = {"temporal_unfold": temporal_unfold, "temporal_conv2d": temporal_conv2d}
OPERATIONS = {
    "addmm": addmm,
    "matmul": matmul,
    "vvadd": lambda i, c: added(i["x"], i["y"], c, 1),
    "vvsub": lambda i, c: added(i["x"], i["y"], c, -1),
    "viadd": lambda i, c: added(i["x"], ((1,), [c["y"]]), c, 1),
    "vvmul": lambda i, c: multiplied(i["x"], i["y"], c),
    "vimul": lambda i, c: multiplied(i["x"], ((1,), [c["y"]]), c),
    "vneg": lambda i, c: each(i["x"], lambda v: sat(-v, c["bw"])),
    "relu": lambda i, c: each(i["x"], lambda v: max(0, v)),
    "shift": lambda i, c: each(
        i["x"], lambda v: sat(move(v, c["shamt"], c.get("rounded", False)), c["bw"])
    ),
    "lut": lut,
    "cat": cat,
    "chunk": chunk,
    "split": lambda i, c: parts(i["x"], c["dim"], c["lengths"]),
    "copy": lambda i, c: i["x"],
    "reshape": reshape,
    "sum": total,
    "gt0": lambda i, c: each(i["x"], lambda v: int(v > 0)),
    "zeros": lambda i, c: zeros(c),
}
