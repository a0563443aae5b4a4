"""What a network file may say: the models behind `configs/networks/*.yaml` and their schema."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Field

from spusim.frontend.audio import Framing
from spusim.frontend.layers import LAYERS, Model, Name, NodeModel, Size

if TYPE_CHECKING:
    AnyLayer = NodeModel
else:
    AnyLayer = Annotated[
        Union[tuple(dict.fromkeys(LAYERS.values()))], Field(discriminator="type")  # noqa: UP007
    ]

Structure = Annotated[
    str,
    Field(
        pattern=r"^(element|pencil:[1-9][0-9]{0,3})$",
        description="element, or pencil:N for N consecutive output rows of one input column",
    ),
]
Density = Annotated[float, Field(ge=0.0, le=1.0)]


class InputModel(Model):
    """A frame that the network takes."""

    size: Size = Field(description="features of a frame")
    bits: Literal[8, 16] = Field(default=16, description="width of a feature")
    rate: Annotated[int, Field(ge=1_000, le=768_000)] | None = Field(
        default=None,
        description="samples a second, of sound: .wav streams are resampled to it and cut into "
        "frames of `size` samples",
    )

    @property
    def framing(self) -> Framing:
        """How sound becomes frames."""
        return Framing(self.size, self.rate)


class QuantiseModel(Model):
    """How the network is quantised."""

    weights: Literal[4, 8, 16] = Field(default=8, description="bits of a weight")
    activations: Literal[8, 16] = Field(default=16, description="bits of a tensor between layers")
    per_channel: bool = Field(default=False, description="a weight scale per output row")
    calibrate: str | None = Field(
        default=None,
        description="calibration stream: FILE[:key] relative to this file, or a shipped name",
    )


class PruneModel(Model):
    """How the weights are pruned before quantising."""

    structure: Structure = "element"
    density: Density = Field(description="fraction of elements or pencils kept")
    scope: Literal["layer", "global"] = Field(
        default="layer", description="density of each matrix, or of all together by one threshold"
    )
    layers: dict[str, Density] = Field(
        default_factory=dict, description="densities of single layers, by name (scope layer)"
    )


class TopologyModel(Model):
    """A network file."""

    name: Name
    description: str = Field(default="", description="one line for `spusim list`")
    weights: str | None = Field(
        default=None, description="default checkpoint, relative to this file"
    )
    input: InputModel
    layers: tuple[AnyLayer, ...] = Field(
        description="what is computed of a frame, in order: each layer after what it reads",
        json_schema_extra={"minItems": 1},
    )
    output: Name | None = Field(
        default=None, description="the layer whose output leaves; default: the last"
    )
    labels: tuple[str, ...] = Field(
        default=(), description="names of the outputs (quote yes, no, on, off)"
    )
    quantise: QuantiseModel = QuantiseModel()
    prune: PruneModel | None = None


SECTIONS: dict[str, type[Model]] = {
    "input": InputModel,
    "quantise": QuantiseModel,
    "prune": PruneModel,
}


def network_schema() -> dict[str, Any]:
    """Return the JSON Schema of a network file, for editors."""
    schema = TopologyModel.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
