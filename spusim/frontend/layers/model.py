"""What every layer says in a network file, and how it takes its weights from a checkpoint."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from spusim.frontend.layers.base import FloatLayer, FloatNode
from spusim.frontend.layers.keys import Keys

NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_.\-]*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, description="unique name")]
Size = Annotated[int, Field(ge=1, le=1_048_576)]


class Model(BaseModel):
    """Base of all models: frozen, strict, and unknown keys are refused."""

    # built when it is first used, which most are only inside others
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


@dataclass(frozen=True)
class Shape:
    """A tensor of positions x channels, laid out position after position.

    width: of an image, whose positions are its rows one after the other; None: no image. planes:
    of an image that was flattened, its channels, where the checkpoint's order is one channel's
    elements after the other's; None: the checkpoint's order is the tensor's.
    """

    positions: int
    channels: int
    width: int | None = None
    planes: int | None = None

    @property
    def size(self) -> int:
        """Elements."""
        return self.positions * self.channels

    @property
    def height(self) -> int:
        """Rows of an image."""
        return self.positions // (self.width or 1)


class NodeModel(Model, ABC):
    """A layer of a network file. One file a type: this model beside its FloatNode."""

    weighted: ClassVar[bool] = False  # whether it has matrices that can be pruned
    takes_images: ClassVar[bool] = False  # of more than one position
    takes_flattened: ClassVar[bool] = False  # images in the tensor's order, not the checkpoint's
    source_key: ClassVar[str]  # the key that names what it reads
    type: str
    name: Name

    @abstractmethod
    def rewired(self, names: Mapping[str, str]) -> "NodeModel":
        """Return the layer reading names[x] where it is said to read x."""

    @abstractmethod
    def reads(self, before: str) -> tuple[str, ...]:
        """Return the names of the tensors it takes, where `before` is the layer before it."""

    @abstractmethod
    def merged(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the shape of the output for those of its inputs; TopologyError if none fits."""

    @abstractmethod
    def bind_to(self, shapes: tuple[Shape, ...], keys: Keys) -> FloatNode:
        """Return the layer for inputs of these shapes, its tensors from a checkpoint's keys."""

    def stack(self) -> tuple["NodeModel", ...]:
        """Return the layers that this one stands for, lowest first; itself unless it is a stack."""
        return (self,)


class LayerModel(NodeModel, ABC):
    """A layer with one input."""

    source_key: ClassVar[str] = "input"
    input: Annotated[
        Name | None,
        Field(description="the layer that it reads; `input`: the frame; default: the one before"),
    ] = None

    def reads(self, before: str) -> tuple[str, ...]:
        """Return the name of the tensor it takes."""
        return (self.input or before,)

    def rewired(self, names: Mapping[str, str]) -> NodeModel:
        """Return the layer reading names[x] where it is said to read x."""
        return self.model_copy(update={"input": names.get(self.input or "", self.input)})

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output for an input's; raises TopologyError if there is none."""
        return shape

    @abstractmethod
    def bind(self, shape: Shape, keys: Keys) -> FloatLayer:
        """Return the layer for an input of `shape`, its tensors taken from a checkpoint's keys."""

    def merged(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the shape of the output for its one input's."""
        return self.output(shapes[0])

    def bind_to(self, shapes: tuple[Shape, ...], keys: Keys) -> FloatNode:
        """Return the layer for its one input's shape."""
        return self.bind(shapes[0], keys)


class MergeModel(NodeModel, ABC):
    """A layer with several inputs."""

    source_key: ClassVar[str] = "inputs"
    inputs: Annotated[
        tuple[Name, ...],
        Field(
            min_length=2,
            description="the layers that it reads, in order; `input` is the frame",
        ),
    ]

    def reads(self, before: str) -> tuple[str, ...]:
        """Return the names of the tensors it takes."""
        return self.inputs

    def rewired(self, names: Mapping[str, str]) -> NodeModel:
        """Return the layer reading names[x] where it is said to read x."""
        inputs = tuple(names.get(name, name) for name in self.inputs)
        return self.model_copy(update={"inputs": inputs})


class WeightedModel(LayerModel, ABC):
    """A layer with tensors in the checkpoint, under keys that start with a prefix."""

    weighted: ClassVar[bool] = True
    prefix: Annotated[
        str | None, Field(description="prefix of the checkpoint's keys; default: the layer's name")
    ] = None

    @property
    def dot(self) -> str:
        """What the layer's keys start with."""
        prefix = self.prefix if self.prefix is not None else self.name
        return f"{prefix}." if prefix else ""


class StackedModel(WeightedModel, ABC):
    """A recurrent layer, or a stack of them: their keys end in _l0, _l1, ..."""

    index: int = Field(
        default=0, ge=0, le=99, description="N of the keys: which layer of a stack, or its lowest"
    )
    layers: int = Field(
        default=1, ge=1, le=100, description="layers of the stack, called NAME_l0, NAME_l1, ..."
    )

    def stack(self) -> tuple[NodeModel, ...]:
        """Return a layer for each of the stack, every one reading the one below."""
        if self.layers == 1:
            return (self,)
        prefix = self.name if self.prefix is None else self.prefix
        numbers = range(self.index, self.index + self.layers)
        names = [f"{self.name}_l{number}" for number in numbers]
        below = [self.input, *names]
        return tuple(
            self.model_copy(
                update={"name": name, "prefix": prefix, "index": n, "layers": 1, "input": source}
            )
            for name, n, source in zip(names, numbers, below, strict=False)
        )
