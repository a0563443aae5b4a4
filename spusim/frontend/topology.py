"""What a network file may say: the models behind `configs/networks/*.yaml` and their schema."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Structure = Annotated[
    str,
    Field(
        pattern=r"^(element|pencil:[1-9][0-9]{0,3})$",
        description="element, or pencil:N for N consecutive output rows of one input column",
    ),
]
Density = Annotated[float, Field(ge=0.0, le=1.0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.\-]*$", description="unique name")]
Prefix = Annotated[
    str | None, Field(description="prefix of the checkpoint's keys; default: the layer's name")
]
Size = Annotated[int, Field(ge=1, le=1_048_576)]


class Model(BaseModel):
    """Base of all models: frozen, strict, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class InputModel(Model):
    """A frame that the network takes."""

    size: Size = Field(description="features of a frame")
    bits: Literal[8, 16] = Field(default=16, description="width of a feature")


class LinearModel(Model):
    """A fully connected layer: keys PREFIX.weight and, with bias, PREFIX.bias."""

    type: Literal["linear"]
    name: Name
    outputs: Size = Field(description="features out")
    bias: bool = Field(default=True, description="whether it has a bias")
    prefix: Prefix = None


class LstmModel(Model):
    """An LSTM layer: keys PREFIX.weight_ih_lN, weight_hh_lN, and bias_ih_lN, bias_hh_lN."""

    type: Literal["lstm"]
    name: Name
    hidden: Size = Field(description="features of the hidden state")
    bias: bool = Field(default=True, description="whether it has biases")
    prefix: Prefix = None
    index: int = Field(default=0, ge=0, le=99, description="N of the keys: which layer of a stack")


class ActivationModel(Model):
    """An elementwise function."""

    type: Literal["relu", "sigmoid", "tanh"]
    name: Name


class MeanTimeModel(Model):
    """Running mean over a file's frames."""

    type: Literal["mean_time"]
    name: Name
    frames: Size = Field(description="frames of a file, by which the sum is divided")


class PickTimeModel(Model):
    """Running maximum, or last value, over a file's frames."""

    type: Literal["max_time", "last_time"]
    name: Name


LayerModel = Annotated[
    LinearModel | LstmModel | ActivationModel | MeanTimeModel | PickTimeModel,
    Field(discriminator="type"),
]


class QuantiseModel(Model):
    """How the network is quantised."""

    weights: Literal[4, 8, 16] = Field(default=8, description="bits of a weight")
    activations: Literal[8, 16] = Field(default=16, description="bits of a tensor between layers")
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
    layers: tuple[LayerModel, ...] = Field(
        description="the chain, input first", json_schema_extra={"minItems": 1}
    )
    labels: tuple[str, ...] = Field(
        default=(), description="names of the outputs (quote yes, no, on, off)"
    )
    quantise: QuantiseModel = QuantiseModel()
    prune: PruneModel | None = None


LAYER_MODELS: dict[str, type[Model]] = {
    "linear": LinearModel,
    "lstm": LstmModel,
    "relu": ActivationModel,
    "sigmoid": ActivationModel,
    "tanh": ActivationModel,
    "mean_time": MeanTimeModel,
    "max_time": PickTimeModel,
    "last_time": PickTimeModel,
}
SECTIONS: dict[str, type[Model]] = {
    "input": InputModel,
    "quantise": QuantiseModel,
    "prune": PruneModel,
}


def network_schema() -> dict[str, Any]:
    """Return the JSON Schema of a network file, for editors."""
    schema = TopologyModel.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
