"""What every layer says in a network file, and how it takes its weights from a checkpoint."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from spusim.frontend.layers.base import FloatLayer
from spusim.frontend.layers.keys import Keys

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.\-]*$", description="unique name")]
Size = Annotated[int, Field(ge=1, le=1_048_576)]


class Model(BaseModel):
    """Base of all models: frozen, strict, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


@dataclass(frozen=True)
class Shape:
    """A tensor of positions x channels, laid out position after position."""

    positions: int
    channels: int

    @property
    def size(self) -> int:
        """Elements."""
        return self.positions * self.channels


class LayerModel(Model, ABC):
    """A layer of a network file. One file a type: this model beside its FloatLayer."""

    weighted: ClassVar[bool] = False  # whether it has matrices that can be pruned
    type: str
    name: Name

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output for an input's; raises TopologyError if there is none."""
        return shape

    @abstractmethod
    def bind(self, shape: Shape, keys: Keys) -> FloatLayer:
        """Return the layer for an input of `shape`, its tensors taken from a checkpoint's keys."""


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
