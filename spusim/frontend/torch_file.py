"""Reading torch checkpoints without executing them; the only place that imports torch.

`torch.load(weights_only=True)` interprets the pickle with an allow-list instead of running it.
"""

import argparse
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np

from spusim.frontend.errors import CheckpointError

_WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net")
_SAVE_STATE = "save weights alone: torch.save(model.state_dict(), PATH)"
_NUMBERS = {
    "torch.float64": "float64",
    "torch.float32": "float32",
    "torch.float16": "float16",
    "torch.bfloat16": "bfloat16",
    "torch.int64": "int64",
    "torch.int32": "int32",
    "torch.int16": "int16",
    "torch.int8": "int8",
    "torch.uint8": "uint8",
    "torch.bool": "bool",
}


def read_torch(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the tensors of a checkpoint and the data type that each is stored in.

    bfloat16 is widened to float32, sparse tensors become dense. Raises CheckpointError, and never
    runs code from the file.
    """
    torch = _torch(path)
    _refuse_torchscript(path)
    content = _state_dict(path, torch, _load(path, torch))
    tensors, dtypes = {}, {}
    for name, value in content.items():
        if not isinstance(value, torch.Tensor):
            raise CheckpointError(
                f"{path}: {name} is a {type(value).__name__}, not a tensor; {_SAVE_STATE}"
            )
        dtypes[name], tensors[name] = _array(path, name, value)
    return tensors, dtypes


def _torch(path: Path) -> ModuleType:
    try:
        import torch
    except ImportError as error:
        raise CheckpointError(
            f"{path}: reading this suffix needs torch; `pip install spusim[torch]`, "
            "or convert the file to .safetensors, which does not"
        ) from error
    return cast(ModuleType, torch)


def _refuse_torchscript(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith("constants.pkl") for name in names):
        raise CheckpointError(
            f"{path}: is a TorchScript archive, which is a program and not weights; {_SAVE_STATE}"
        )


def _load(path: Path, torch: ModuleType) -> Any:
    try:
        with torch.serialization.safe_globals(_allowed()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about how the file was written
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged pickles raise almost anything
        foreign = re.search(r"GLOBAL ([\w.]+)", str(error))
        if foreign:
            raise CheckpointError(
                f"{path}: holds a pickled {foreign[1]}, and loading it would run the file's code, "
                f"so nothing of it was loaded; {_SAVE_STATE}"
            ) from error
        first_line = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(
            f"{path}: not a complete torch checkpoint ({first_line}); save or download it again"
        ) from error


def _allowed() -> list[Any]:
    """Types beside torch's own that checkpoints hold next to the weights: plain data, no code."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(code)) for code in ("f8", "f4", "f2", "i8", "i4", "?")}
    return [
        argparse.Namespace,
        np.dtype,
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        *kinds,
    ]


def _state_dict(path: Path, torch: ModuleType, content: Any) -> dict[str, Any]:
    """Return the innermost mapping that holds tensors."""
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{path}: holds a {type(content).__name__}, not a state dict; {_SAVE_STATE}"
        )
    if not any(isinstance(value, torch.Tensor) for value in content.values()):
        for key in _WRAPPERS:
            if isinstance(content.get(key), Mapping):
                return _state_dict(path, torch, content[key])
    strange = [key for key in content if not isinstance(key, str)]
    if strange or not content:
        reason = f"has the key {strange[0]!r}, which is no name" if strange else "holds no tensors"
        raise CheckpointError(f"{path}: {reason}; {_SAVE_STATE}")
    return dict(content)


def _array(path: Path, name: str, tensor: Any) -> tuple[str, np.ndarray]:
    kind = str(tensor.dtype)
    if kind not in _NUMBERS or tensor.is_quantized:
        raise CheckpointError(
            f"{path}: tensor {name} has type {kind}; convert it to float32 before saving"
        )
    if tensor.is_meta:
        raise CheckpointError(
            f"{path}: tensor {name} was saved on the meta device, without its values; "
            "save the model after its weights were loaded"
        )
    dense = tensor.detach().to_dense() if str(tensor.layout) != "torch.strided" else tensor.detach()
    if kind == "torch.bfloat16":
        dense = dense.float()
    return _NUMBERS[kind], dense.contiguous().numpy().copy()
