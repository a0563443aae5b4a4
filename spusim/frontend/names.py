"""From the names that training tools leave in a checkpoint to one plain tensor per parameter."""

import re
from collections.abc import Mapping

import numpy as np

from spusim.frontend.errors import CheckpointError

_WRAPPER = re.compile(r"^(module\.|_orig_mod\.)+")  # DataParallel, torch.compile
_PARAMETRIZED = re.compile(r"^(?P<prefix>.*?)parametrizations\.(?P<name>[^.]+)\.original\d*$")


def plain_tensors(source: str, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Strip wrappers' prefixes and fold pruning masks; `source` is what messages call the file."""
    named = _without_prefixes(source, tensors)
    folded = dict(named)
    for name in named:
        if name.endswith("_orig"):
            _fold_pruned(source, folded, name)
        elif match := _PARAMETRIZED.match(name):
            _fold_parametrized(source, folded, name, match)
    return folded


def plain_name(name: str) -> str:
    """Return the name under which `plain_tensors` gives a stored tensor, masked or not."""
    name = _WRAPPER.sub("", name)
    match = _PARAMETRIZED.match(name)
    return match["prefix"] + match["name"] if match else name.removesuffix("_orig")


def _without_prefixes(source: str, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    origin: dict[str, str] = {}
    for name in tensors:
        short = _WRAPPER.sub("", name)
        if short in origin:
            raise CheckpointError(
                f"{source}: {origin[short]} and {name} are both {short} without their prefixes; "
                "keep one of them"
            )
        origin[short] = name
    return {short: tensors[name] for short, name in origin.items()}


def _fold_pruned(source: str, folded: dict[str, np.ndarray], name: str) -> None:
    """Fold `weight_orig` x `weight_mask`, as torch.nn.utils.prune leaves them."""
    parameter = name.removesuffix("_orig")
    if parameter + "_mask" not in folded:
        raise CheckpointError(
            f"{source}: {name} comes without {parameter}_mask, so its zeros are not known; "
            f"make {parameter} permanent before saving, e.g. with torch.nn.utils.prune.remove"
        )
    _fold(source, folded, parameter, name, parameter + "_mask")


def _fold_parametrized(
    source: str, folded: dict[str, np.ndarray], name: str, match: re.Match[str]
) -> None:
    """Fold `parametrizations.weight.original` x the mask that a parametrization registered."""
    parameter = match["prefix"] + match["name"]
    stem = re.escape(f"{match['prefix']}parametrizations.{match['name']}.")
    masks = [key for key in folded if re.match(stem + r"\d+\.mask$", key)]
    if len(masks) != 1 or not name.endswith(".original"):
        raise CheckpointError(
            f"{source}: {name} comes without one mask: the parametrization's zeros were never "
            "saved; call torch.nn.utils.parametrize.remove_parametrizations before saving"
        )
    _fold(source, folded, parameter, name, masks[0])


def _fold(
    source: str, folded: dict[str, np.ndarray], parameter: str, original: str, mask: str
) -> None:
    values, kept = folded.pop(original), folded.pop(mask)
    if values.shape != kept.shape:
        raise CheckpointError(
            f"{source}: {original} has shape {values.shape} and {mask} {kept.shape}; "
            "a mask has its parameter's shape"
        )
    if parameter in folded:
        raise CheckpointError(f"{source}: holds both {parameter} and {original}; keep one of them")
    folded[parameter] = values * kept.astype(values.dtype)
