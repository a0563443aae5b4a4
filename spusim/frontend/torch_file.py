"""Reading torch checkpoints without executing them; the only place that imports torch.

The names in the file are judged first (`pickle_scan`, `torch_names`); then
`torch.load(weights_only=True)` interprets the pickle with an allow-list instead of running it.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np

from spusim.frontend.errors import CheckpointError
from spusim.frontend.pickle_scan import AGAIN, SAVE_STATE, scan_torch_file
from spusim.frontend.stored import Stored
from spusim.frontend.torch_names import check_names, stand_ins
from spusim.frontend.torch_tensors import TensorReader

_WRAPPERS = (
    "state_dict", "model_state_dict", "model_state", "model_dict", "model", "net_state_dict",
    "net", "network", "module", "weights", "params", "checkpoint",
)  # fmt: skip
_NO_MODELS = ("optim", "sched", "scaler", "ema")
_PACKED = "._packed_params._packed_params"
_PACKED_TYPE = "._packed_params.dtype"
_MOST_NESTING = 8


@dataclass
class _Content:
    """The tensors of a state dict as they are taken, and what was found."""

    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)
    forms: dict[str, list[str]] = field(default_factory=dict)

    def take(self, reader: TensorReader, name: str, tensor: Any) -> None:
        """Read a tensor, and note a form that is not plain."""
        if name in self.tensors:
            raise CheckpointError(f"{reader.path}: holds {name} twice; keep one of them")
        self.dtypes[name], self.tensors[name], form = reader.read(name, tensor)
        if form:
            self.forms.setdefault(f"{self.dtypes[name]} {form}", []).append(name)


def read_torch(path: Path) -> Stored:
    """Return the tensors of a checkpoint, the data type that each is stored in, and its masks.

    bfloat16 is widened to float32, sparse tensors become dense, quantised ones real values.
    Raises CheckpointError, and never runs code from the file.
    """
    torch = _torch(path)
    scan = scan_torch_file(path)
    check_names(path, scan.names)
    whole = _load(path, torch, scan.names)
    place, state = _state_dict(path, torch, whole)
    reader, content = TensorReader(path), _Content()
    for name, value in _parameters(path, torch, state):
        content.take(reader, name, value)
    masks = _Content()
    for name, value in _distiller_masks(torch, whole):
        masks.take(reader, name, value)
    forms = [f"state dict under {'.'.join(place)}"] if place else []
    forms += [f"stored as {form}: {', '.join(names)}" for form, names in content.forms.items()]
    if masks.tensors:
        forms.append(f"Distiller's masks: {', '.join(masks.tensors)}")
    dynamic = tuple(_dynamic_modules(torch, state))
    if dynamic:
        forms.append(f"quantised dynamically by PyTorch: {', '.join(dynamic)}")
    return Stored(content.tensors, content.dtypes, masks.tensors, tuple(forms), dynamic=dynamic)


def _torch(path: Path) -> ModuleType:
    try:
        import torch
    except ImportError as error:
        raise CheckpointError(
            f"{path}: reading this suffix needs torch; `pip install spusim[torch]`, "
            "or convert the file to .safetensors, which does not"
        ) from error
    return cast(ModuleType, torch)


def _load(path: Path, torch: ModuleType, names: Iterable[str]) -> Any:
    try:
        with (
            torch.serialization.safe_globals(stand_ins(torch, names)),
            # else an index beyond a sparse tensor writes wherever it points
            torch.sparse.check_sparse_tensor_invariants(),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # about how the file was written
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged pickles raise almost anything
        first_line = next(iter(str(error).splitlines()), type(error).__name__)
        if "Unsupported operand" in str(error):
            raise CheckpointError(
                f"{path}: is pickled by a protocol that torch does not load safely; save it "
                "without pickle_protocol"
            ) from error
        raise CheckpointError(
            f"{path}: not a complete torch checkpoint ({first_line}); {AGAIN}"
        ) from error


def _state_dict(path: Path, torch: ModuleType, content: Any) -> tuple[list[str], dict[str, Any]]:
    """Return the keys that lead to the mapping that holds the model's tensors, and that."""
    place: list[str] = []
    while True:
        if not isinstance(content, Mapping):
            raise CheckpointError(
                f"{path}: holds a {type(content).__name__}, not a state dict; {SAVE_STATE}"
            )
        inner = _inner(path, torch, content)
        if inner is None or len(place) == _MOST_NESTING:
            break
        place.append(inner)
        content = content[inner]
    strange = [key for key in content if not isinstance(key, str)]
    if strange or not content:
        reason = f"has the key {strange[0]!r}, which is no name" if strange else "holds no tensors"
        raise CheckpointError(f"{path}: {reason}; {SAVE_STATE}")
    return place, dict(content)


def _inner(path: Path, torch: ModuleType, content: Mapping[Any, Any]) -> str | None:
    """Return the key of the state dict in a mapping, or None if it is one itself."""
    nested = {
        key: value
        for key, value in content.items()
        if isinstance(key, str) and isinstance(value, Mapping)
    }
    for key in _WRAPPERS:
        if key in nested:
            return key
    if any(isinstance(value, torch.Tensor) for value in content.values()):
        return None
    models = [
        key
        for key, value in nested.items()
        if _holds_tensors(torch, value) and not any(word in key.lower() for word in _NO_MODELS)
    ]
    if len(models) > 1:
        raise CheckpointError(
            f"{path}: holds several state dicts ({', '.join(models)}); save the one to simulate"
        )
    return models[0] if models else None


def _holds_tensors(torch: ModuleType, content: Mapping[Any, Any]) -> bool:
    return any(isinstance(value, torch.Tensor) for value in content.values()) or any(
        _inner_tensors(torch, content[key]) for key in _WRAPPERS if key in content
    )


def _inner_tensors(torch: ModuleType, value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(v, torch.Tensor) for v in value.values())


def _parameters(
    path: Path, torch: ModuleType, state: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Yield tensors by name, those of statically quantised modules unpacked."""
    for name, value in state.items():
        if isinstance(value, torch.Tensor):
            yield name, value
        elif name.endswith(_PACKED) and isinstance(value, tuple) and len(value) == 2:
            stem = name.removesuffix(_PACKED)
            for part, tensor in zip(("weight", "bias"), value, strict=True):
                if tensor is not None:
                    yield f"{stem}.{part}", tensor
        elif not name.endswith(_PACKED_TYPE):
            raise CheckpointError(
                f"{path}: {name} is a {type(value).__name__}, not a tensor; {SAVE_STATE}"
            )


def _dynamic_modules(torch: ModuleType, state: Mapping[str, Any]) -> Iterator[str]:
    """Yield packed modules with no scale of their activations: 1 stands there, and 0 beside it."""
    for name in state:
        stem = name.removesuffix(_PACKED)
        pair = state.get(f"{stem}.scale"), state.get(f"{stem}.zero_point")
        single = [float(x) for x in pair if isinstance(x, torch.Tensor) and x.numel() == 1]
        if name.endswith(_PACKED) and single == [1.0, 0.0]:
            yield stem


def _distiller_masks(torch: ModuleType, whole: Any) -> Iterator[tuple[str, Any]]:
    """Yield the masks that Distiller saves beside the state dict; of dense layers they are None."""
    schedule = whole.get("compression_sched") if isinstance(whole, Mapping) else None
    masks = schedule.get("masks_dict") if isinstance(schedule, Mapping) else None
    for name, mask in masks.items() if isinstance(masks, Mapping) else ():
        if isinstance(name, str) and isinstance(mask, torch.Tensor):
            yield name, mask
