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

from spusim.frontend.weight_formats import WeightFormat

Structure = Annotated[
    str,
    Field(
        pattern=(
            r"^(element|row|column|filter|channel|kernel|unit|pencil:[1-9][0-9]{0,3}"
            r"|block:[1-9][0-9]{0,3}x[1-9][0-9]{0,3}"
            r"|(n_of_m:)?[1-9][0-9]{0,2}:[1-9][0-9]{0,2}(:inputs)?)$"
        ),
        description="element, pencil:N (outputs of an input), block:RxC, row, column, filter, "
        "channel, kernel, unit (matrices shrink) or n_of_m:N:M (of M outputs of an input)",
    ),
]
Density = Annotated[float, Field(ge=0.0, le=1.0)]


class InputModel(Model):
    """A frame that the network takes."""

    size: Size = Field(description="features of a frame")
    bits: Literal[1, 4, 8, 16] = Field(default=16, description="width of a feature")
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

    weights: Literal[1, 2, 4, 8, 16, WeightFormat] = Field(
        default=8, description="bits of a weight, or its number format"
    )
    activations: Literal[1, 4, 8, 16] = Field(
        default=16, description="bits of a tensor between layers"
    )
    per_channel: bool = Field(default=False, description="a weight scale per output row")
    asymmetric: bool = Field(
        default=False, description="unsigned codes for outputs of relu that only products read"
    )
    calibrate: str | None = Field(
        default=None,
        description="calibration stream: FILE[:key] relative to this file, or a shipped name",
    )


class PruneModel(Model):
    """How the weights are pruned before quantising."""

    structure: Structure = "element"
    density: Density = Field(description="fraction of elements or groups kept")
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
        default=None,
        description="default checkpoint, relative to this file, or random:seed=N: drawn",
    )
    obtain: str | None = Field(
        default=None, description="how to get the weights, of a network that ships without them"
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
