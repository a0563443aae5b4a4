"""From an image to a vector, in the order of the checkpoint's next linear layer."""

from typing import ClassVar, Literal

from pydantic import Field

from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import LayerModel, Shape
from spusim.frontend.layers.reshape import FloatReshape


class FlattenModel(LayerModel):
    """An image as a vector; nothing moves, the next linear layer's columns do."""

    takes_images: ClassVar[bool] = True
    type: Literal["flatten"]
    order: Literal["channels", "positions"] = Field(
        default="channels",
        description="what the columns of the next linear layer run over first: one channel after "
        "the other (PyTorch's flatten), or one position after the other",
    )

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output."""
        apart = self.order == "channels" and shape.positions > 1
        return Shape(1, shape.size, planes=shape.channels if apart else None)

    def bind(self, shape: Shape, keys: Keys) -> FloatReshape:
        """Return the view."""
        return FloatReshape(self.name, shape.size)
