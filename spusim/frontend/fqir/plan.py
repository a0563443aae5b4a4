"""FQIR plans as they lie on disk: JSON to frozen records, with nothing understood of them yet.

The format is version 1 of what `save_runtime_plan` of Femtosense's fmot writes.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spusim.frontend.fqir.errors import PlanError
from spusim.frontend.yaml_file import dotted

VERSION = 1
MOST_BYTES = 128 << 20  # more weights, written as text, than any chip of these holds

# name -> bits of tensors that operations take; those with fq have a quantum
DTYPES = {"fqint4": 4, "fqint8": 8, "fqint16": 16, "int4": 4, "int8": 8, "int16": 16}
TABLE_DTYPES = ("int8", "int16", "int32", "int64")  # numpy's, of `lut` tables
FLOATS = ("float", "float32", "float64", "fqint4_fp", "fqint8_fp", "fqint16_fp")  # before QUANT


class _Record(BaseModel):
    """Base of the records: frozen and exact; keys that say nothing of values are passed over."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", strict=True, arbitrary_types_allowed=True
    )


class PlanTensor(_Record):
    """A tensor that a graph names: an input, an output, or a parameter with its values."""

    name: str = Field(min_length=1)
    dtype: str | dict[str, str]
    shape: list[int]
    quanta: int | None = None
    has_value: bool = False
    value: Any = None

    @property
    def kind(self) -> str:
        """The data type's name, however it is written."""
        return self.dtype if isinstance(self.dtype, str) else self.dtype.get("name", "none")


class PlanNode(_Record):
    """One operation, or (subgraph) the place where a graph calls another."""

    name: str
    op_name: str | None
    inputs: dict[str, str]
    outputs: list[str]
    constants: dict[str, Any]
    subgraph: str | None = None

    @property
    def told(self) -> str:
        """The node as messages name it."""
        made = f" that makes {', '.join(self.outputs)}" if self.outputs else ""
        return f"{self.op_name or 'node'} {self.name or '(unnamed)'}{made}"


class PlanGraph(_Record):
    """A graph: MAIN with its subgraphs QUANT, ARITH, INIT and DEQUANT, or one of these."""

    name: str
    inputs: list[PlanTensor]
    outputs: list[PlanTensor]
    parameters: list[PlanTensor]
    nodes: list[PlanNode]
    subgraphs: dict[str, "PlanGraph"] = {}
    version: int


def read_plan(path: str | Path) -> PlanGraph:
    """Return a plan file's MAIN graph. Raises PlanError for anything but a plan of version 1."""
    path = Path(path)
    tree = _json(path, _text(path))
    if not isinstance(tree, dict) or "nodes" not in tree or "subgraphs" not in tree:
        raise PlanError(
            f"{path}: is JSON, but no FQIR plan: it lacks nodes and subgraphs; bring what "
            "save_runtime_plan wrote"
        )
    _check_version(path, tree)
    try:
        return PlanGraph.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        raise PlanError(
            f"{path}: {dotted(first['loc'])} is wrong: {first['msg']}; save the plan again"
        ) from None


def array_of(tensor: PlanTensor) -> np.ndarray:
    """Return a parameter's integers, int64 of the tensor's shape.

    Raises PlanError for data that are missing, ragged, no integers, or of another shape.
    """
    stored = tensor.value
    if not tensor.has_value or not isinstance(stored, dict) or "data" not in stored:
        raise PlanError(f"parameter {tensor.name} has no values; save the plan again")
    if stored.get("kind") != "ndarray":
        raise PlanError(
            f"parameter {tensor.name} is stored as {stored.get('kind')}, and plans of version "
            f"{VERSION} store an ndarray as numbers; save the plan again"
        )
    try:
        values = np.array(stored["data"])
    except (ValueError, OverflowError) as error:
        raise PlanError(
            f"parameter {tensor.name} has rows of different lengths; save the plan again"
        ) from error
    if values.size == 0:
        raise PlanError(f"parameter {tensor.name} has no elements; save the plan again")
    if values.dtype.kind not in "iu" or values.dtype == np.uint64:
        raise PlanError(
            f"parameter {tensor.name} has values of type {values.dtype}; they must be integers of "
            "at most 64 bits"
        )
    if values.shape != tuple(tensor.shape):
        raise PlanError(
            f"parameter {tensor.name} has values of shape {values.shape}, and is said to have "
            f"{tuple(tensor.shape)}; they must agree"
        )
    return values.astype(np.int64)


def _text(path: Path) -> bytes:
    if not path.is_file():
        raise PlanError(f"{path}: no such file; check the path")
    size = path.stat().st_size
    if size == 0:
        raise PlanError(f"{path}: is empty (0 bytes); save or download it again")
    if size > MOST_BYTES:
        raise PlanError(
            f"{path}: has {size / 2**20:,.0f} MiB, and plans of at most {MOST_BYTES >> 20} MiB are "
            "read: no SPU's memory holds such a network; make it smaller"
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise PlanError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _json(path: Path, text: bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        reason = "nested too deeply"
    except (ValueError, UnicodeDecodeError) as error:
        reason = str(error)
    raise PlanError(f"{path}: is not JSON ({reason}); save or download it again") from None


def _check_version(path: Path, tree: dict[str, Any]) -> None:
    subgraphs = tree["subgraphs"] if isinstance(tree["subgraphs"], dict) else {}
    for graph in (tree, *subgraphs.values()):
        version = graph.get("version") if isinstance(graph, dict) else VERSION
        if version != VERSION:
            raise PlanError(
                f"{path}: has version {version} of the FQIR plan format, and version {VERSION} is "
                "known; save it with an fmot that writes that one"
            )
