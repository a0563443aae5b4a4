"""Random float graphs with skips, merges and dead ends, and what torch computes for each."""

from collections.abc import Callable
from functools import reduce

import numpy as np
import torch

from spusim.frontend.bind import bind
from spusim.frontend.chain import FloatNetwork
from spusim.frontend.topology import TopologyModel
from spusim.network.records import Stream

STARTS = (0, 4)
FRAMES = 9

Values = dict[str, torch.Tensor]
_FUNCTIONS = {"relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}
_MERGES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
}


class FloatGraph:
    """A network file's content, its state dict, and the same in torch, grown at random.

    Tensors are (frames, positions, channels) to torch.
    """

    def __init__(self, seed: int, layers: int, input_bits: int = 16) -> None:
        self.rng = np.random.default_rng(seed)
        self.size = int(self.rng.integers(3, 9))
        self.input_bits = input_bits
        self.layers: list[dict] = []
        self.state: dict[str, np.ndarray] = {}
        self.steps: list[tuple[str, Callable[[Values], torch.Tensor]]] = []
        self.shapes: dict[str, tuple[int, int]] = {"input": (1, self.size)}
        self.sums: set[str] = set()
        grown = (self.linear, self.function, self.lstm, self.pool, self.merge, self.concat,
                 self.slice, self.merge, self.concat, self.linear)  # fmt: skip
        for _ in range(layers):
            grown[self.rng.integers(len(grown))]()
        self.linear()  # so that there is one layer at least, and a last one that says something

    def some(self) -> str:
        """Return a tensor, the newer the likelier."""
        names = list(self.shapes)
        return names[-1 - int(len(names) * self.rng.random() ** 2)]

    def alike(self, fits: Callable[[tuple[int, int]], bool]) -> list[str]:
        """Return one to three tensors of fitting shapes, perhaps one of them twice."""
        names = [name for name, shape in self.shapes.items() if fits(shape)]
        count = int(self.rng.integers(1, 4))
        return [names[self.rng.integers(len(names))] for _ in range(count)] if names else []

    def add(self, kind: str, shape: tuple[int, int], step: Callable, **keys: object) -> str:
        """Add a layer; it names its input only where it must, or by chance."""
        name = f"{kind}{len(self.layers)}"
        last = self.layers[-1]["name"] if self.layers else "input"
        if keys.get("input") == last and self.rng.random() < 0.5:
            del keys["input"]
        self.layers.append({"type": kind, "name": name, **keys})
        self.shapes[name] = shape
        self.steps.append((name, step))
        return name

    def uniform(self, *shape: int) -> np.ndarray:
        """Return random weights."""
        return self.rng.uniform(-0.5, 0.5, shape)

    def linear(self) -> None:
        """Add a linear layer."""
        x, outputs = self.some(), int(self.rng.integers(1, 9))
        weight = self.uniform(outputs, int(np.prod(self.shapes[x])))
        w, b = torch.tensor(weight), torch.tensor(self.uniform(outputs))

        def step(values: Values) -> torch.Tensor:
            return torch.nn.functional.linear(values[x].flatten(1), w, b)[:, None]

        name = self.add("linear", (1, outputs), step, input=x, outputs=outputs)
        self.state |= {f"{name}.weight": weight, f"{name}.bias": b.numpy()}

    def function(self) -> None:
        """Add an activation."""
        kind = str(self.rng.choice(list(_FUNCTIONS)))
        x = self.some()
        self.add(kind, self.shapes[x], lambda values: _FUNCTIONS[kind](values[x]), input=x)

    def lstm(self) -> None:
        """Add an LSTM, or a stack of two."""
        x, hidden = self.some(), int(self.rng.integers(1, 6))
        layers = int(self.rng.integers(1, 3))
        size = int(np.prod(self.shapes[x]))
        module = torch.nn.LSTM(size, hidden, layers, batch_first=True).double()
        for parameter in module.parameters():
            parameter.data = torch.tensor(self.uniform(*parameter.shape))

        def step(values: Values) -> torch.Tensor:
            files = values[x].flatten(1).tensor_split(STARTS[1:])
            return torch.cat([module(file[None])[0][0] for file in files])[:, None]

        keys = {"input": x, "hidden": hidden} | ({"layers": layers} if layers > 1 else {})
        name = self.add("lstm", (1, hidden), step, **keys)
        self.state |= {f"{name}.{k}": v.detach().numpy() for k, v in module.state_dict().items()}

    def pool(self) -> None:
        """Add pooling over a file's frames; what reads a mean has to cope with a sum."""
        kind = str(self.rng.choice(["mean_time", "max_time", "last_time"]))
        x, frames = self.some(), int(self.rng.choice([5, 8, 13]))

        def step(values: Values) -> torch.Tensor:
            files = values[x].tensor_split(STARTS[1:])
            pools = {
                "mean_time": lambda file: file.cumsum(0) / frames,
                "max_time": lambda file: file.cummax(0).values,
                "last_time": lambda file: file,
            }
            return torch.cat([pools[kind](file) for file in files])

        keys = {"frames": frames} if kind == "mean_time" else {}
        self.add(kind, self.shapes[x], step, input=x, **keys)

    def merge(self) -> None:
        """Add an elementwise merge; one input may have a single element."""
        kind = str(self.rng.choice(list(_MERGES)))
        first = self.some()
        others = self.alike(lambda shape: shape in (self.shapes[first], (1, 1))) or [first]
        if kind in ("subtract", "multiply"):
            others = others[:1]
        inputs = [first, *others]
        if kind != "subtract":
            inputs = [inputs[i] for i in self.rng.permutation(len(inputs))]
        if kind == "subtract" and self.shapes[first] == (1, 1):
            inputs = [first, first]

        def step(values: Values) -> torch.Tensor:
            return reduce(_MERGES[kind], (values[name] for name in inputs))

        self.add(kind, self.shapes[first], step, inputs=inputs)

    def concat(self) -> None:
        """Add a concatenation along channels or positions."""
        first, axis = self.some(), int(self.rng.integers(2))
        shape = self.shapes[first]
        others = self.alike(lambda other: other[axis] == shape[axis])
        inputs = [first, *others]
        along = 1 - axis
        total = sum(self.shapes[name][along] for name in inputs)
        if total > 24:
            return
        made = (shape[0], total) if along == 1 else (total, shape[1])

        def step(values: Values) -> torch.Tensor:
            return torch.cat([values[name] for name in inputs], 1 + along)

        self.add("concat", made, step, inputs=inputs, axis=("positions", "channels")[along])

    def slice(self) -> None:
        """Add a slice of channels or positions."""
        x, axis = self.some(), int(self.rng.integers(2))
        shape = self.shapes[x]
        first = int(self.rng.integers(shape[axis]))
        size = int(self.rng.integers(1, shape[axis] - first + 1))
        made = (size, shape[1]) if axis == 0 else (shape[0], size)

        def step(values: Values) -> torch.Tensor:
            return values[x].narrow(1 + axis, first, size)

        keys = {"first": first, "size": size, "axis": ("positions", "channels")[axis]}
        self.add("slice", made, step, input=x, **keys)

    def topology(self, **quantise: object) -> TopologyModel:
        """Return the network file's model; the output is the last layer, or the one before."""
        content: dict = {
            "name": "graph",
            "input": {"size": self.size, "bits": self.input_bits},
            "layers": tuple(
                {k: tuple(v) if isinstance(v, list) else v for k, v in layer.items()}
                for layer in self.layers
            ),
            "output": self.layers[-1 - (len(self.layers) > 1 and len(self.layers) % 2)]["name"],
            "quantise": quantise,
        }
        return TopologyModel.model_validate(content)

    def floats(self) -> FloatNetwork:
        """Return the float network."""
        return bind(self.topology(), self.state)

    def stream(self) -> Stream:
        """Return random frames in two files, always the same."""
        frames = np.random.default_rng(self.size).normal(size=(FRAMES, self.size))
        return Stream(frames, STARTS, ("a", "b"))

    def torch(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """Return every layer's output (frames, size) by torch, in double precision."""
        values: Values = {"input": torch.tensor(frames)[:, None]}
        with torch.no_grad():
            for name, step in self.steps:
                values[name] = step(values)
        return {name: value.flatten(1).numpy() for name, value in values.items()}
