"""Quantisation-aware training: weights on the grid that they were trained for.

`torch.ao.quantization.prepare_qat` leaves float weights, `weight_fake_quant.scale` and
`.zero_point` beside them, and the observers of activations.
"""

import re

import numpy as np

from spusim.frontend.errors import CheckpointError

_WEIGHT_SCALE = ".weight_fake_quant.scale"
_OBSERVER = re.compile(r"(^|\.)(weight_fake_quant|activation_post_process)\.")
_MODULE_SCALE = re.compile(r"^(?P<stem>.+)\.(scale|zero_point)$")
_LOWEST, _HIGHEST = -128, 127  # of QAT's weights, qint8


def fold_fake_quant(source: str, tensors: dict[str, np.ndarray]) -> list[str]:
    """Round QAT's weights to their grid, in place; drop observers. Return what was done.

    A weight whose observer never saw data, or is switched off, stays as it is. Raises
    CheckpointError.
    """
    stems = [name.removesuffix(_WEIGHT_SCALE) for name in tensors if name.endswith(_WEIGHT_SCALE)]
    # a fused module's grid is that of its weight times the scale of its batch norm
    fused = [stem for stem in stems if f"{stem}.bn.running_var" in tensors]
    rounded = [stem for stem in stems if stem not in fused and _rounds(source, tensors, stem)]
    dropped = {name for name in tensors if _OBSERVER.search(name)} | _activation_scales(tensors)
    for name in dropped:
        del tensors[name]
    forms = []
    if rounded:
        weights = ", ".join(f"{stem}.weight" for stem in rounded)
        forms.append(f"rounded to the grid of quantisation-aware training: {weights}")
    if fused:
        weights = ", ".join(f"{stem}.weight" for stem in fused)
        forms.append(f"not rounded, since their grids are of products with batch norms: {weights}")
    if dropped:
        forms.append(f"{len(dropped)} ranges and scales of activations left aside")
    return forms


def _rounds(source: str, tensors: dict[str, np.ndarray], stem: str) -> bool:
    """Round stem's weight if it has a grid; tell whether it has."""
    weight, scale = tensors.get(f"{stem}.weight"), tensors.get(stem + _WEIGHT_SCALE)
    if weight is None or scale is None:
        return False
    prefix = f"{stem}.weight_fake_quant."
    seen = tensors.get(prefix + "activation_post_process.min_val", np.zeros(1))
    enabled = tensors.get(prefix + "fake_quant_enabled", np.ones(1))
    if not seen.size or not enabled.any():
        return False
    if scale.size not in (1, len(weight)) or not (scale > 0).all():
        raise CheckpointError(
            f"{source}: {stem}{_WEIGHT_SCALE} has {scale.size} values for {len(weight)} rows, or "
            "one that is not above 0; calibrate the network before saving it"
        )
    zero = tensors.get(prefix + "zero_point", np.zeros(scale.size))
    rows = (-1, *(1 for _ in weight.shape[1:]))
    steps, zeros = (part.astype(np.float64).reshape(rows) for part in (scale, zero))
    codes = np.clip(np.rint(weight / steps) + zeros, _LOWEST, _HIGHEST)
    tensors[f"{stem}.weight"] = ((codes - zeros) * steps).astype(weight.dtype)
    return True


def _activation_scales(tensors: dict[str, np.ndarray]) -> set[str]:
    """Return the pairs X.scale, X.zero_point of single values: a converted module's output."""
    stems = {match["stem"] for match in map(_MODULE_SCALE.match, tensors) if match}
    return {
        f"{stem}.{key}"
        for stem in stems
        if all(getattr(tensors.get(f"{stem}.{k}"), "size", 0) == 1 for k in ("scale", "zero_point"))
        for key in ("scale", "zero_point")
    }
