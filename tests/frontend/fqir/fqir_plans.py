"""Plans written as the vendor's tool writes them: the same keys, in the same order."""

import json
from pathlib import Path

import numpy as np


def ndarray(values: np.ndarray) -> dict:
    """Return an array as plans store it."""
    shape = list(values.shape)
    return {"kind": "ndarray", "dtype": str(values.dtype), "shape": shape, "data": values.tolist()}


def tensor(name: str, dtype, shape, quanta=None, value=None, roles=()) -> dict:
    """Return a tensor's entry."""
    return {
        "name": name,
        "dtype": dtype,
        "shape": list(shape),
        "quanta": quanta,
        "is_bool": False,
        "has_value": value is not None,
        "value": None if value is None else ndarray(value),
        "roles": list(roles),
        "avg_sparsity": None,
        "named_dims": None,
    }


def node(name, op, inputs, outputs, constants=None, subgraph=None) -> dict:
    """Return a node's entry."""
    return {
        "name": name,
        "op_name": op,
        "inputs": inputs,
        "outputs": outputs,
        "constants": constants or {},
        "subgraph": subgraph,
    }


def graph(
    name, inputs=(), outputs=(), parameters=(), nodes=(), subgraphs=None, unbind=None
) -> dict:
    """Return a graph's entry."""
    return {
        "name": name,
        "unbind_dim": unbind,
        "stack_dim": None,
        "inputs": list(inputs),
        "outputs": list(outputs),
        "parameters": list(parameters),
        "nodes": list(nodes),
        "subgraphs": subgraphs or {},
        "version": 1,
    }


class PlanBuilder:
    """Writes a plan operation by operation; every method returns the name that it makes."""

    def __init__(self, seed: int, inputs: int, bits: int = 16, quanta: int = -12) -> None:
        self.rng = np.random.default_rng(seed)
        self.bits, self.quanta = bits, quanta
        self.inputs = inputs
        self.sizes: dict[str, int] = {"x": inputs}
        self.parameters: list[dict] = []
        self.nodes: list[dict] = []
        self.init: list[dict] = []
        self.count = 0

    def name(self, stem: str = "%x") -> str:
        """Return a new name."""
        self.count += 1
        return f"{stem}.{self.count}"

    def op(self, op: str, inputs: dict, size: int = 0, outputs: int = 1, **constants):
        """Append an operation; returns its output's name, or the names of several."""
        names = [self.name() for _ in range(outputs)]
        self.sizes |= dict.fromkeys(names, size)
        self.nodes.append(node(f"model.{op}.{self.count}", op, inputs, names, constants))
        return names[0] if outputs == 1 else names

    def parameter(self, values: np.ndarray, dtype="fqint8") -> str:
        """Append a parameter."""
        name = self.name("%p")
        self.sizes[name] = int(values.size)
        self.parameters.append(
            tensor(name, dtype, values.shape, -9, values.astype(np.int32), ["parameter"])
        )
        return name

    def table(self, values: np.ndarray) -> str:
        """Append a look-up table."""
        name = f"{self.name()}.table_values"
        kind = {"kind": "dtype", "name": "int64"}
        self.parameters.append(
            tensor(name, kind, values.shape, None, values.astype(np.int64), ["parameter"])
        )
        return name

    def weights(self, rows: int, columns: int, bits: int, density: float) -> np.ndarray:
        """Return (in, out) weights in which pencils of 8 outputs are kept or dropped together."""
        limit = 2 ** (bits - 1)
        values = self.rng.integers(-limit, limit, (columns, rows))
        kept = self.rng.random((columns, -(-rows // 8))) < density
        return values * np.repeat(kept, 8, axis=1)[:, :rows]

    def linear(self, x: str, rows: int, *, wbits=8, bits=16, density=0.5, shift=-8) -> str:
        """Append addmm with random weights and bias."""
        y = self.parameter(self.weights(rows, self.sizes[x], wbits, density), f"fqint{wbits}")
        limit = 2 ** (bits - 1)
        bias = self.parameter(self.rng.integers(-limit, limit, rows), f"fqint{bits}")
        return self.op(
            "addmm", {"bias": bias, "x": x, "y": y}, rows, rounded=True, shamt_bwred=shift,
            shamt_bias=4, bw_out=bits,
        )  # fmt: skip

    def add(self, x: str, y: str, kind="vvadd", bits=16, **over) -> str:
        """Append vvadd or vvsub."""
        c = {"shamt_x": 0, "shamt_y": 0, "shamt_bwred": 0, "bw": bits, "bw_x": bits, "bw_y": bits}
        return self.op(kind, {"x": x, "y": y}, self.sizes[x], **(c | {"rounded": True} | over))

    def multiply(self, x: str, y: str, shift: int, rounded=True) -> str:
        """Append vvmul."""
        return self.op(
            "vvmul", {"x": x, "y": y}, self.sizes[x], rounded=rounded, shamt_bwred=shift, bw=16
        )

    def curve(self, x: str, function) -> str:
        """Append a function by two tables, interpolated, as for 16-bit tensors."""
        size = self.sizes[x]
        points = np.arange(-128, 129) / 16
        values = np.round(function(points) * 2**15).clip(-(2**15), 2**15 - 1).astype(int)
        address = self.op("shift", {"x": x}, size, shamt=-8, bw=8)
        rest = self.op(
            "vvsub", {"x": x, "y": address}, size, shamt_x=0, shamt_y=8, shamt_bwred=0, bw=16,
            bw_x=16, bw_y=8,
        )  # fmt: skip
        c = {"shamt_address": 0, "bw_address": 8, "table_min": -128}
        table = self.table(values[:256])
        base = self.op("lut", {"x": address, "table_values": table}, size, function="f_c0", **c)
        slopes = self.table(np.diff(values).clip(-(2**15), 2**15 - 1))
        slope = self.op("lut", {"x": address, "table_values": slopes}, size, function="f_c1", **c)
        part = self.multiply(slope, rest, -8, rounded=False)
        return self.add(part, base, rounded=False)

    def state(self, size: int) -> str:
        """Append a state that starts with zeros."""
        name = self.name()
        self.sizes[name] = size
        self.init.append(node("model.init", "zeros", {}, [name], {"shape": [size]}))
        return name

    def assign(self, state: str, value: str) -> None:
        """Append an assignment."""
        self.nodes.append(node("model.assign", "assign", {"y": state, "x": value}, []))

    def lstm(self, x: str, hidden: int, density: float = 0.5) -> str:
        """Append an LSTM as the tool writes it: one product over the input and the state."""
        h, c = self.state(hidden), self.state(hidden)
        both = self.op("cat", {"x0": x, "x1": h}, self.sizes[x] + hidden, dim=-1)
        gates = self.linear(both, 4 * hidden, density=density, shift=-9)
        i, f, g, o = self.op("chunk", {"x": gates}, hidden, 4, chunks=4, dim=0)
        i, f, o = (self.curve(gate, sigmoid) for gate in (i, f, o))
        kept = self.multiply(f, c, -15)
        new = self.add(kept, self.multiply(i, self.curve(g, np.tanh), -16))
        shown = self.multiply(o, self.curve(new, np.tanh), -15)
        self.assign(h, shown)
        self.assign(c, new)
        return shown

    def conv(self, x: str, out: int, channels: int, *, taps=3, dilation=1, groups=1, bands=1,
             kernel_bands=1, stride=1, dilation_band=1, padding=0, bias=True) -> str:  # fmt: skip
        """Append temporal_conv2d with its buffer."""
        shape = (out, channels // groups, kernel_bands, taps)
        inputs = {"input": x, "weight": self.parameter(self.rng.integers(-128, 128, shape))}
        if bias:
            values = self.rng.integers(-(2**15), 2**15, out)
            inputs["bias"] = self.parameter(values, "fqint16")
        if taps > 1:
            inputs["buffer"] = self.state((taps - 1) * dilation * self.sizes[x])
        reach = (kernel_bands - 1) * dilation_band + 1
        size = out * ((bands + 2 * padding - reach) // stride + 1)
        return self.op(
            "temporal_conv2d", inputs, size, shamt_bwred=-9, bw=16, shamt_bias=4,
            kernel_size_t=taps, kernel_size_band=kernel_bands, d_band_in=channels, n_band_in=bands,
            dilation_t=dilation, dilation_band=dilation_band, padding_band=padding,
            stride_band=stride, groups=groups,
        )  # fmt: skip

    def plan(self, *outputs: str, bits: int = 16, quanta: int = -15, shapes=None) -> dict:
        """Return the plan, with its outputs named."""
        kind = f"fqint{self.bits}"
        made = [
            tensor(name, f"fqint{bits}", (shapes or {}).get(name, [self.sizes[name]]), quanta)
            for name in outputs
        ]
        source = tensor("x", kind, [self.inputs], self.quanta)
        real = tensor("%i.1", "float", [self.inputs])
        constants = {"quanta": self.quanta, "bw": self.bits}
        quantize = node("quantizers", "quantize", {"x": "%i.1"}, ["x"], constants)
        dequantize = [
            node("", "dequantize", {"x": name}, [f"{name}.real"], {"quanta": quanta})
            for name in outputs
        ]
        graphs = {
            "QUANT": graph("QUANT", [real], [source], nodes=[quantize]),
            "ARITH": graph("ARITH", [source], made, self.parameters, self.nodes),
        }
        calls = [
            node("quantizers", None, {"x1": "%i.1"}, ["x"], subgraph="QUANT"),
            node("model", None, {"x1": "x"}, list(outputs), subgraph="ARITH"),
        ]
        if self.init:
            graphs["INIT"] = graph("INIT", nodes=self.init)
            calls.append(node("", None, {}, [], subgraph="INIT"))
        reals = [tensor(f"{t['name']}.real", "float", t["shape"], quanta) for t in made]
        graphs["DEQUANT"] = graph("DEQUANT", made, reals, nodes=dequantize)
        calls.append(node("", None, {}, [], subgraph="DEQUANT"))
        unbind = 0 if self.init else None
        return graph("MAIN", [real], made, [], calls, graphs, unbind)

    def frames(self, count: int) -> np.ndarray:
        """Return frames (count, inputs) with zeros and both limits in them."""
        limit = 2 ** (self.bits - 1)
        found = self.rng.integers(-limit, limit, (count, self.inputs))
        found[self.rng.random(found.shape) < 0.3] = 0
        found[self.rng.random(found.shape) < 0.05] = -limit
        found[self.rng.random(found.shape) < 0.05] = limit - 1
        return found


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def write_plan(folder: Path, plan: dict, name: str = "net") -> Path:
    """Write a plan to a folder."""
    path = folder / f"{name}.plan.json"
    path.write_text(json.dumps(plan, indent=2))
    return path
