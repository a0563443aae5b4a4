"""Reading .safetensors files with numpy alone, bfloat16 included."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize

from spusim.frontend.errors import CheckpointError
from spusim.frontend.stored import Stored

_DTYPES = {
    "F64": ("float64", "<f8"),
    "F32": ("float32", "<f4"),
    "F16": ("float16", "<f2"),
    "BF16": ("bfloat16", "<u2"),
    "I64": ("int64", "<i8"),
    "I32": ("int32", "<i4"),
    "I16": ("int16", "<i2"),
    "I8": ("int8", "|i1"),
    "U8": ("uint8", "|u1"),
    "U16": ("uint16", "<u2"),
    "U32": ("uint32", "<u4"),
    "BOOL": ("bool", "|b1"),
}


def read_safetensors(path: Path) -> Stored:
    """Return the tensors of a file, by ascending name, their data types, and its metadata.

    bfloat16 is widened to float32. Raises CheckpointError for damaged files and other types.
    """
    try:
        found = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: not a complete safetensors file ({error}); save or download it again"
        ) from error
    tensors, dtypes = {}, {}
    for name, stored in sorted(found, key=lambda item: item[0]):
        dtypes[name], tensors[name] = _array(path, name, stored)
    return Stored(tensors, dtypes, metadata=read_metadata(path))


def read_metadata(path: Path) -> dict[str, str]:
    """Return the free-text metadata in the header of a readable .safetensors file."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    return dict(header.get("__metadata__", {}))


def _array(path: Path, name: str, stored: dict[str, Any]) -> tuple[str, np.ndarray]:
    if stored["dtype"] not in _DTYPES:
        raise CheckpointError(
            f"{path}: tensor {name} has type {stored['dtype']}; "
            f"convert it to one of {', '.join(sorted(_DTYPES))}"
        )
    dtype, code = _DTYPES[stored["dtype"]]
    flat = np.frombuffer(bytes(stored["data"]), dtype=code)
    if dtype == "bfloat16":  # the upper half of a float32
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return dtype, flat.reshape(stored["shape"])
