"""What a network file may say: the models behind `configs/networks/*.yaml` and their schema."""

import math
from collections.abc import Iterator, Set
from functools import cache, reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Field, create_model

from spusim.frontend.audio import Framing
from spusim.frontend.layers import LAYERS, Model, Name, NodeModel, Shape, Size
from spusim.network.records import Picture

if TYPE_CHECKING:
    AnyLayer = NodeModel
else:
    AnyLayer = Annotated[
        Union[tuple(dict.fromkeys(LAYERS.values()))], Field(discriminator="type")  # noqa: UP007
    ]

from spusim.frontend.weight_formats import WeightFormat

STRUCTURE_PATTERN = (
    r"^(element|row|column|filter|channel|kernel|unit|pencil:[1-9][0-9]{0,3}"
    r"|block:[1-9][0-9]{0,3}x[1-9][0-9]{0,3}"
    r"|(n_of_m:)?[1-9][0-9]{0,2}:[1-9][0-9]{0,2}(:inputs)?)$"
)
Structure = Annotated[
    str,
    Field(
        pattern=STRUCTURE_PATTERN,
        description="element, pencil:N (outputs of an input), block:RxC, row, column, filter, "
        "channel, kernel, unit (matrices shrink) or n_of_m:N:M (of M outputs of an input)",
    ),
]
IMAGE_KEYS = ("channels", "height", "width")
Density = Annotated[float, Field(ge=0.0, le=1.0)]


class InputModel(Model):
    """A frame that the network takes: a vector of `size` features, or an image.

    An image has channels, height and width; its frame lies position after position.
    """

    size: Size | None = Field(
        default=None, description="features of a frame; of an image, height x width x channels"
    )
    channels: Size | None = Field(default=None, description="channels of an image")
    height: Size | None = Field(default=None, description="rows of an image")
    width: Size | None = Field(default=None, description="columns of an image")
    resize: Size | None = Field(
        default=None,
        description="pixels of an image file's shorter side before it is cropped to height x "
        "width; default: until that just fits",
    )
    mean: tuple[float, ...] = Field(
        default=(), description="of each channel of image files, whose values are 0 to 1; default 0"
    )
    std: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(), description="what each channel is then divided by; default 1"
    )
    bits: Literal[1, 4, 8, 16] = Field(default=16, description="width of a feature")
    rate: Annotated[int, Field(ge=1_000, le=768_000)] | None = Field(
        default=None,
        description="samples a second, of sound: .wav streams are resampled to it and cut into "
        "frames of `size` samples",
    )

    @property
    def features(self) -> int:
        """Elements of a frame."""
        if self.picture is None:
            return self.size or 1
        return math.prod((self.picture.channels, self.picture.height, self.picture.width))

    @property
    def shape(self) -> Shape:
        """Positions and channels of a frame."""
        if self.picture is None:
            return Shape(1, self.features)
        picture = self.picture
        return Shape(picture.height * picture.width, picture.channels, picture.width)

    @property
    def picture(self) -> Picture | None:
        """How image files become frames; None where a frame is no image."""
        if self.channels is None or self.height is None or self.width is None:
            return None
        return Picture(self.channels, self.height, self.width, self.resize, self.mean, self.std)

    @property
    def framing(self) -> Framing:
        """How sound and images become frames."""
        return Framing(self.features, self.rate, self.picture)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield a key and what is wrong with it, of what the keys must be together."""
        missing = [key for key in IMAGE_KEYS if getattr(self, key) is None]
        if len(missing) == len(IMAGE_KEYS):
            if not self.size:
                yield "size", "input has no size; give it one, or channels, height and width"
            for key in ("resize", "mean", "std"):
                if getattr(self, key):
                    yield key, f"input.{key} goes with an image; add {', '.join(IMAGE_KEYS)}"
        elif missing:
            yield missing[0], f"input.{missing[0]} is missing, of an image; add it"
        else:
            yield from self._image_problems()

    def _image_problems(self) -> Iterator[tuple[str, str]]:
        if self.size not in (None, self.features):
            yield (
                "size",
                f"input.size (={self.size}) must be channels x height x width (={self.features}); "
                "leave it out",
            )
        for key in ("mean", "std"):
            values = len(getattr(self, key))
            if values not in (0, self.channels):
                yield (
                    key,
                    f"input.{key} (={values} values) must be one for each of {self.channels} "
                    "channels; add or remove some",
                )


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
    scales: Literal["static", "dynamic"] = Field(
        default="static",
        description="of what products multiply: calibrated, or found anew in every frame",
    )
    layers: dict[str, Literal["static", "dynamic"]] = Field(
        default_factory=dict, description="scales of single layers, by name"
    )
    input_range: float | None = Field(
        default=None,
        gt=0.0,
        description="largest magnitude of the frames' elements, in the place of a calibration "
        "stream where all scales are dynamic",
    )
    calibrate: str | None = Field(
        default=None,
        description="calibration stream: FILE[:key] relative to this file, or a shipped name",
    )


class PruneModel(Model):
    """How the weights are pruned before quantising."""

    structure: Structure = "element"
    density: Density = Field(default=1.0, description="fraction of elements or groups kept")
    scope: Literal["layer", "global"] = Field(
        default="layer", description="density of each matrix, or of all together by one threshold"
    )
    layers: dict[str, Density] = Field(
        default_factory=dict, description="densities of single layers, by name (scope layer)"
    )
    profile: str | None = Field(
        default=None,
        description="sparsity profile, in the place of all above: a shipped name, or a CSV file "
        "relative to this file; each layer gets exactly its nonzeros",
    )
    structured: bool = Field(
        default=True, description="draw a profile's zero kernels and filters; else zeros anywhere"
    )
    seed: int = Field(default=0, ge=0, description="of a profile's random masks")

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield a key and what is wrong with it, of what the keys must be together."""
        said = self.model_fields_set
        if self.profile is None:
            if "density" not in said:
                yield "density", "prune.density is missing; add it, or a profile"
            for key in ("structured", "seed"):
                if key in said:
                    yield key, f"prune.{key} goes with prune.profile; add that, or drop {key}"
            return
        for key in ("structure", "density", "scope", "layers"):
            if key in said:
                yield key, f"prune.profile sets every layer's density; drop prune.{key}, or profile"


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
    quantise: QuantiseModel = QuantiseModel.model_construct()
    prune: PruneModel | None = None


SECTIONS: dict[str, type[Model]] = {
    "input": InputModel,
    "quantise": QuantiseModel,
    "prune": PruneModel,
}


def validated(text: str, types: Set[Any]) -> TopologyModel:
    """Return what a network file says, as JSON. Raises pydantic's ValidationError.

    types: all that its layers say that they are. Where there is a layer of each, the models of no
    others are built.
    """
    known = frozenset(name for name in types if name in LAYERS)
    if len(known) < len(types):
        return TopologyModel.model_validate_json(text)
    found = _with_layers(known).model_validate_json(text)
    said = {name: getattr(found, name) for name in TopologyModel.model_fields}
    return TopologyModel.model_construct(found.model_fields_set, **said)


@cache
def _with_layers(types: frozenset[str]) -> type[TopologyModel]:
    """Return the model of network files that have layers of these types only."""
    models = (LAYERS[name] for name in ("linear", "relu", *sorted(types)))
    one_of: Any = reduce(or_, models)
    layer: Any = Annotated[one_of, Field(discriminator="type")]
    layers: Any = (tuple[layer, ...], TopologyModel.model_fields["layers"])
    return create_model("TopologyModel", __base__=TopologyModel, layers=layers)


def network_schema() -> dict[str, Any]:
    """Return the JSON Schema of a network file, for editors."""
    schema = TopologyModel.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
