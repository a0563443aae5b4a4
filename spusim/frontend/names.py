"""From the names that training tools leave in a checkpoint to one plain tensor per parameter."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from spusim.frontend.errors import CheckpointError
from spusim.frontend.fake_quant import fold_fake_quant

# DataParallel, DistributedDataParallel and Opacus wrap the whole model; the compiler, FSDP and
# activation checkpointing any part of it.
_OUTER = re.compile(r"^((?:module|_module)\.)+")
_ANYWHERE = re.compile(r"(^|(?<=\.))(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_PARAMETRIZED = re.compile(r"^(?P<prefix>.*?)parametrizations\.(?P<name>[^.]+)\.original\d*$")
# endings of two parts of a weight -> the norm that computes it from them, and what undoes that
_NORMS = {
    ("_g", "_v"): ("weight_norm", "remove_weight_norm"),
    ("_orig", "_u"): ("spectral_norm", "remove_spectral_norm"),
    (".original0", ".original1"): ("weight_norm", "parametrize.remove_parametrizations"),
    (".original", ".0._u"): ("spectral_norm", "parametrize.remove_parametrizations"),
}


@dataclass
class Plain:
    """One plain tensor per parameter; the stored name of each; and what was found and undone."""

    tensors: dict[str, np.ndarray]
    stored_names: dict[str, str]
    forms: list[str] = field(default_factory=list)


def plain_tensors(
    source: str, tensors: Mapping[str, np.ndarray], masks: Mapping[str, np.ndarray] | None = None
) -> Plain:
    """Strip wrappers' prefixes, fold pruning masks, put QAT's weights on their grid.

    masks: by parameter, where they lie beside the tensors. `source` is what messages call the
    file. Raises CheckpointError.
    """
    names = _short_names(source, tensors)
    _refuse_norms(source, names)
    plain = Plain({short: tensors[name] for short, name in names.items()}, dict(names))
    stripped = sorted({piece for name in tensors for piece in _wrappers(name)})
    if stripped:
        plain.forms.append(f"prefixes stripped: {', '.join(stripped)}")
    folded = [name for name in list(plain.tensors) if _fold(source, plain, name)]
    if folded:
        plain.forms.append(f"pruning masks folded in: {', '.join(map(_parameter, folded))}")
    for name, mask in (masks or {}).items():
        _fold_beside(source, plain, short_name(name), mask)
    plain.forms += fold_fake_quant(source, plain.tensors)
    return plain


def short_name(name: str) -> str:
    """Return a name without the prefixes of wrappers."""
    return _OUTER.sub("", _ANYWHERE.sub("", name))


def _wrappers(name: str) -> Iterator[str]:
    """Yield the prefixes that `short_name` strips: wrappers of parts, then those of the whole."""
    yield from (match[0] for match in _ANYWHERE.finditer(name))
    outer = _OUTER.match(_ANYWHERE.sub("", name))
    if outer:
        yield outer[1]


def _short_names(source: str, tensors: Mapping[str, np.ndarray]) -> dict[str, str]:
    origin: dict[str, str] = {}
    for name in tensors:
        short = short_name(name)
        if short in origin:
            raise CheckpointError(
                f"{source}: {origin[short]} and {name} are both {short} without their prefixes; "
                "keep one of them"
            )
        origin[short] = name
    return origin


def _refuse_norms(source: str, names: Iterable[str]) -> None:
    """Refuse weights that modules compute anew whenever they run."""
    known = set(names)
    for (part, other), (norm, undo) in _NORMS.items():
        for name in known:
            stem = name.removesuffix(part)
            weight = stem.rpartition(".")[2]
            if name.endswith(part) and stem + other in known and weight.startswith("weight"):
                raise CheckpointError(
                    f"{source}: {name} and {stem}{other} are what {norm} computes "
                    f"{stem.replace('parametrizations.', '')} from; call torch.nn.utils.{undo} "
                    "before saving"
                )


def _parameter(name: str) -> str:
    match = _PARAMETRIZED.match(name)
    return match["prefix"] + match["name"] if match else name.removesuffix("_orig")


def _fold(source: str, plain: Plain, name: str) -> bool:
    """Fold a tensor with its mask, if it is one that has a mask; tell whether it was."""
    if name.endswith("_orig"):
        mask = _pruned_mask(source, plain.tensors, name)
    elif match := _PARAMETRIZED.match(name):
        mask = _parametrized_mask(source, plain.tensors, name, match)
    else:
        return False
    parameter = _parameter(name)
    _check_mask(source, plain.tensors, name, mask, plain.tensors[mask])
    if parameter in plain.tensors:
        raise CheckpointError(f"{source}: holds both {parameter} and {name}; keep one of them")
    values, kept = plain.tensors.pop(name), plain.tensors.pop(mask)
    plain.tensors[parameter] = values * kept.astype(values.dtype)
    plain.stored_names[parameter] = plain.stored_names[name]
    return True


def _pruned_mask(source: str, tensors: Mapping[str, np.ndarray], name: str) -> str:
    """Return the name of `weight_orig`'s `weight_mask`, as torch.nn.utils.prune leaves them."""
    parameter = name.removesuffix("_orig")
    if parameter + "_mask" not in tensors:
        raise CheckpointError(
            f"{source}: {name} comes without {parameter}_mask, so its zeros are not known; "
            f"make {parameter} permanent before saving, e.g. with torch.nn.utils.prune.remove"
        )
    return parameter + "_mask"


def _parametrized_mask(
    source: str, tensors: Mapping[str, np.ndarray], name: str, match: re.Match[str]
) -> str:
    """Return the name of the mask that a parametrization of `name` registered."""
    stem = re.escape(f"{match['prefix']}parametrizations.{match['name']}.")
    masks = [key for key in tensors if re.match(stem + r"\d+\.mask$", key)]
    if len(masks) != 1 or not name.endswith(".original"):
        raise CheckpointError(
            f"{source}: {name} comes without one mask: the parametrization's zeros were never "
            "saved; call torch.nn.utils.parametrize.remove_parametrizations before saving"
        )
    return masks[0]


def _fold_beside(source: str, plain: Plain, name: str, mask: np.ndarray) -> None:
    if name not in plain.tensors:
        raise CheckpointError(
            f"{source}: has a pruning mask for {name}, but no such parameter; save both together"
        )
    _check_mask(source, plain.tensors, name, "its mask", mask)
    values = plain.tensors[name]
    plain.tensors[name] = values * mask.astype(values.dtype)


def _check_mask(
    source: str, tensors: Mapping[str, np.ndarray], name: str, mask: str, kept: np.ndarray
) -> None:
    shape = tensors[name].shape
    if shape != kept.shape:
        raise CheckpointError(
            f"{source}: {name} has shape {shape} and {mask} {kept.shape}; "
            "a mask has its parameter's shape"
        )
    if not np.isin(kept, (0, 1)).all():
        raise CheckpointError(
            f"{source}: {mask} of {name} holds values beside 0 and 1; a mask keeps or drops"
        )
