"""From one torch tensor, of whatever layout and type, to a numpy array."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spusim.frontend.errors import CheckpointError
from spusim.frontend.stored import check_bytes

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
_QUANTISED = ("torch.qint8", "torch.quint8", "torch.qint32")


@dataclass
class TensorReader:
    """Converts the tensors of one file, and keeps count of their bytes."""

    path: Path
    used_bytes: int = 0

    def read(self, name: str, tensor: Any) -> tuple[str, np.ndarray, str]:
        """Return data type, values, and how it was stored if not plainly ("" if so).

        Quantised tensors become their real values, sparse ones dense, bfloat16 float32.
        """
        if type(tensor).__name__ == "Int8Tensor":
            return self._torchao(name, tensor)
        kind = str(tensor.dtype)
        if kind not in (*_NUMBERS, *_QUANTISED):
            raise CheckpointError(
                f"{self.path}: tensor {name} has type {kind}; convert it to float32 before saving"
            )
        if tensor.is_meta:
            raise CheckpointError(
                f"{self.path}: tensor {name} was saved on the meta device, without its values; "
                "save the model after its weights were loaded"
            )
        self._count(name, tensor)
        plain = tensor.detach()
        if kind in _QUANTISED:
            scheme = "channel" if "channel" in str(plain.qscheme()) else "tensor"
            return kind.removeprefix("torch."), _numpy(plain.dequantize()), f"per {scheme}"
        form = ""
        if str(plain.layout) != "torch.strided":
            form = str(plain.layout).removeprefix("torch.sparse_") if plain.is_sparse else ""
            form = form or str(plain.layout).removeprefix("torch.")
            plain = self._dense(name, plain)
        return _NUMBERS[kind], _numpy(plain.float() if kind == "torch.bfloat16" else plain), form

    def _count(self, name: str, tensor: Any) -> None:
        """Refuse a tensor that is bearable in the file (sparse, or strides of 0), but not here."""
        count = int(np.prod([int(length) for length in tensor.shape], dtype=object))
        self.used_bytes += count * max(1, tensor.element_size())
        check_bytes(self.path, f"with tensor {name}, its tensors unfold to", self.used_bytes)

    def _dense(self, name: str, tensor: Any) -> Any:
        try:
            return tensor.to_dense()
        except (RuntimeError, IndexError) as error:
            raise CheckpointError(
                f"{self.path}: sparse tensor {name} is damaged ({str(error).splitlines()[0]}); "
                "save it again"
            ) from error

    def _torchao(self, name: str, tensor: Any) -> tuple[str, np.ndarray, str]:
        """Return (qdata - zero_point) * scale, both of which may hold for blocks of a row."""
        parts = {key: getattr(tensor, key, None) for key in ("qdata", "scale", "zero_point")}
        if parts["qdata"] is None or parts["scale"] is None:
            raise CheckpointError(
                f"{self.path}: Int8Tensor {name} has no qdata or no scale, so it is of a torchao "
                "that is not known; save its dequantize() instead"
            )
        if getattr(tensor, "act_pre_scale", None) is not None:
            raise CheckpointError(
                f"{self.path}: Int8Tensor {name} asks for inputs scaled beforehand "
                "(act_pre_scale), which the hardware does not; quantise without it"
            )
        self._count(name, parts["qdata"])
        codes = _numpy(parts["qdata"]).astype(np.float64)
        scale = _spread(_numpy(parts["scale"].float()), codes.shape)
        if parts["zero_point"] is not None:
            codes = codes - _spread(_numpy(parts["zero_point"].float()), codes.shape)
        if scale is None:
            raise CheckpointError(
                f"{self.path}: Int8Tensor {name} of shape {codes.shape} has scales of shape "
                f"{tuple(parts['scale'].shape)}, which do not divide it; save it again"
            )
        form = "per tensor" if parts["scale"].numel() == 1 else "per channel"
        return "int8", (codes * scale).astype(np.float32), f"torchao Int8Tensor, {form}"


def _spread(blocks: np.ndarray, shape: tuple[int, ...]) -> Any:
    """Repeat one value per block over the block: blocks (r, c) -> shape; None if it cannot be."""
    if blocks.size == 1:
        return blocks.reshape(())
    if blocks.ndim == len(shape) - 1:
        blocks = blocks[..., None]
    if blocks.ndim != len(shape) or any(
        length % count for length, count in zip(shape, blocks.shape, strict=True)
    ):
        return None
    for axis, (length, count) in enumerate(zip(shape, blocks.shape, strict=True)):
        blocks = np.repeat(blocks, length // count, axis=axis)
    return blocks


def _numpy(tensor: Any) -> np.ndarray:
    return np.array(tensor.detach().contiguous().numpy())
