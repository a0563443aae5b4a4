"""Sweep files: what is run at every point, and over which axes (`configs/sweeps/*.yaml`)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from spusim.arch.document import Entry, merge
from spusim.arch.schema import file_schema
from spusim.arch.shelf import PathLike, Shelf
from spusim.arch.spec import Spec
from spusim.arch.validate import build
from spusim.errors import SpusimError
from spusim.resources import shipped

SCHEMA_FILE = "sweep.schema.json"
_OWN = ("name", "description", "parts")  # keys of the whole sweep, which its parts do not have

_NUMBER = {"type": "number"}
Values = Annotated[
    Any,
    WithJsonSchema(
        {
            "description": "a list of values, or a range: from, to and steps (log: true), or by",
            "anyOf": [
                {"type": "array", "minItems": 1},
                {
                    "type": "object",
                    "properties": {
                        "from": _NUMBER,
                        "to": _NUMBER,
                        "steps": {"type": "integer", "minimum": 2},
                        "log": {"type": "boolean"},
                        "by": _NUMBER,
                    },
                    "required": ["from", "to"],
                    "additionalProperties": False,
                },
            ],
        }
    ),
]


LAYER_KEYS = ("layer", "conv")  # a matrix-vector layer, a convolution: each run alone


class SweepError(SpusimError):
    """A sweep that cannot be run."""


class LayerFile(Spec):
    """A random matrix-vector layer, as `spusim layer linear` draws it."""

    inputs: int | None = Field(default=None, ge=1, description="columns of the weights")
    outputs: int | None = Field(default=None, ge=1, description="rows of the weights")
    weight_density: float = Field(default=1.0, ge=0, le=1, description="nonzero share of weights")
    activation_density: float = Field(
        default=1.0, ge=0, le=1, description="nonzero share of a frame"
    )
    frames: int = Field(default=1, ge=1, description="frames, each drawn anew")
    seed: int = Field(default=0, ge=0, description="of weights and frames")
    weight_bits: int | None = Field(
        default=None, description="bits of a weight; null: the architecture's own"
    )
    activation_bits: int | None = Field(
        default=None, description="bits of an activation; null: the architecture's own"
    )
    codebook_bits: int | None = Field(
        default=None, description="bits of a codebook's entries; null: weights are integers"
    )


class ConvFile(Spec):
    """A random convolution, as `spusim layer conv2d` draws it."""

    in_channels: int | None = Field(default=None, ge=1, description="channels of the input")
    out_channels: int | None = Field(default=None, ge=1, description="filters")
    kernel: int | None = Field(default=None, ge=1, description="rows and columns of a filter")
    size: int | None = Field(default=None, ge=1, description="rows and columns of the input")
    weight_density: float = Field(default=1.0, ge=0, le=1, description="nonzero share of weights")
    activation_density: float = Field(
        default=1.0, ge=0, le=1, description="nonzero share of a frame"
    )
    stride: int = Field(default=1, ge=1, description="both ways")
    padding: int | None = Field(
        default=None, ge=0, description="zeros on every side; null: kernel // 2"
    )
    dilation: int = Field(default=1, ge=1, description="both ways")
    groups: int = Field(default=1, ge=1, description="of channels and filters")
    frames: int = Field(default=1, ge=1, description="images, each drawn anew")
    seed: int = Field(default=0, ge=0, description="of weights and images")
    weight_bits: int | None = Field(
        default=None, description="bits of a weight; null: the architecture's own"
    )
    activation_bits: int | None = Field(
        default=None, description="bits of an activation; null: the architecture's own"
    )


class PartFile(Spec):
    """What one part of a sweep says; a sweep without parts is one part itself."""

    target: str | None = Field(
        default=None,
        min_length=1,
        description="a shipped run or network, a run or network file, or (with network) a "
        "checkpoint",
    )
    layer: LayerFile | None = Field(default=None, description="a random layer in place of a target")
    conv: ConvFile | None = Field(
        default=None, description="a random convolution in place of a target"
    )
    arch: str | None = Field(default=None, min_length=1, description="a preset or a file")
    network: str | None = Field(default=None, min_length=1, description="a shipped one or a file")
    checkpoint: str | None = Field(
        default=None, min_length=1, description="weights, in place of the network's own"
    )
    stream: str | None = Field(default=None, min_length=1, description="as --stream")
    input_period: int | None = Field(
        default=None, ge=1, description="cycles between frames; null: one frame after the other"
    )
    set: tuple[str, ...] = Field(default=(), description="settings of every point, as --set")
    baseline: bool = Field(
        default=True, description="also run each machine skipping nothing, for the speedup"
    )
    sqnr: bool = Field(
        default=False,
        description="compare a network's outputs with its float network's: column sqnr_db",
    )
    replicas: int = Field(
        default=1, ge=1, le=10_000, description="times each point is drawn, with seeds that follow"
    )
    seed: int | None = Field(
        default=None, ge=0, description="of the first replica; null: the layer's or stream's own"
    )
    skip_impossible: bool = Field(
        default=False,
        description="record what cannot be built or does not fit, instead of refusing the sweep",
    )
    grid: dict[str, Values] = Field(
        default_factory=dict, description="axes, every value with every other's"
    )
    zip: dict[str, Values] = Field(
        default_factory=dict, description="axes of equal length that go together"
    )
    list: tuple[dict[str, Any], ...] = Field(
        default=(), description="points, each naming the same parameters"
    )

    @property
    def alone(self) -> str | None:
        """The key of the random layer that is run in place of a target, if one is."""
        return next((key for key in LAYER_KEYS if getattr(self, key) is not None), None)


class SweepFile(PartFile):
    """A sweep file."""

    name: str = Field(
        min_length=1,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$",
        description="what results call it; else the file's name",
    )
    description: str = Field(default="", description="what one should see; for `spusim list`")
    parts: dict[str, PartFile] = Field(
        default_factory=dict, description="parts by name, each laid over the keys beside this one"
    )


@dataclass(frozen=True)
class Part:
    """One part: its keys with the lines that set them, and the same checked."""

    name: str
    tree: Entry
    file: PartFile

    def entry(self, key: str) -> Entry | None:
        """Return what a key was set to, or None if it was not."""
        found = self.tree.find([key])
        return None if found is None or found.value is None else found


@dataclass(frozen=True)
class Sweep:
    """A sweep file, read and checked by itself; names and axes are not resolved yet."""

    name: str
    description: str
    parts: tuple[Part, ...]
    tree: Entry


SWEEPS = Shelf("sweeps", "sweep", SweepError)


def list_sweeps() -> list[str]:
    """Names of the shipped sweeps, sorted."""
    return SWEEPS.names()


def load_sweep(name_or_path: PathLike) -> Sweep:
    """Load a shipped sweep by name, or a sweep file by path; `base:` builds on another.

    Raises SweepError naming file, line, value, rule and remedy.
    """
    tree = SWEEPS.read(name_or_path)
    file = build(SweepFile, tree, SweepError)
    common = Entry({k: v for k, v in tree.value.items() if k not in _OWN}, tree.origin, tree.layer)
    parts = tree.find(["parts"])
    if parts is None or not file.parts:
        return Sweep(file.name, file.description, (_part("", common),), tree)
    found = [_part(n, merge(common, e)) for n, e in parts.value.items() if e.value is not None]
    return Sweep(file.name, file.description, tuple(found), tree)


def _part(name: str, tree: Entry) -> Part:
    file = build(PartFile, tree, SweepError)
    if file.alone is None and file.target is None and file.network is None:
        raise SweepError(f"{tree.origin}: has nothing to run; name a target, or give a layer")
    part = Part(name or _title(file), tree, file)
    if file.alone is None:
        return part
    for key in ("target", "network", "checkpoint", "stream", "input_period", *LAYER_KEYS):
        entry = part.entry(key)
        if key != file.alone and entry is not None:
            told = "" if key in LAYER_KEYS else f" (={entry.value})"
            raise SweepError(
                f"{entry.origin}: {key}{told} does not go with {file.alone}, which is run "
                "alone; drop one of the two, or make two parts"
            )
    return part


def _title(file: PartFile) -> str:
    return file.alone or Path(str(file.target or file.network)).stem


def sweep_schema() -> dict[str, Any]:
    """Return the JSON Schema of a sweep file, for editors."""
    return file_schema(SweepFile, "sweep")


def write_schema(path: Path | None = None) -> Path:
    """Write the schema to path (default: the shipped configs/sweeps); returns where it went."""
    target = path or shipped("configs") / "sweeps" / SCHEMA_FILE
    target.write_text(json.dumps(sweep_schema(), indent=2) + "\n", encoding="utf-8")
    return target
