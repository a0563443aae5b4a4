"""The names that a checkpoint's pickle may use: torch's tensors, and plain data of others.

The others are replaced by inert stand-ins: they lie beside the weights (arguments, numpy scalars,
the optimizer's class), and nothing of them is imported.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from spusim.frontend.errors import CheckpointError
from spusim.frontend.pickle_scan import SAVE_STATE

_TENSORS = re.compile(
    r"collections\.(OrderedDict|Counter)|_codecs\.encode|builtins\.(set|complex)"
    r"|torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_from_type_v2"
    r"|torch\.nn\.parameter\.Parameter|torch\.serialization\._get_layout"
    r"|torch(\.storage)?\.\w+Storage|torch\.(Size|Tensor|device)"
    r"|torch\.(bool|q?u?int\d+(x\d)?|bfloat16|half|float\w*|double|short|long|complex\d+|bits\w+)"
    r"|torch\.per_(tensor|channel)_\w+"
)
_INT8_TENSOR = re.compile(r"torchao\.quantization\.([\w.]+\.)?Int8Tensor")
_PLAIN_DATA = re.compile(
    r"argparse\.Namespace"
    r"|numpy(\._?core\.multiarray)?\.(scalar|dtype|ndarray|_reconstruct)|numpy\.dtypes\.\w+"
    r"|numpy\.(bool_?|u?int\d+|float\d+)"
    r"|builtins\.(list|dict|tuple|int|float|str|bool|slice|range|frozenset)"
    r"|pathlib\.\w*Path|pathlib\._local\.\w*Path|datetime\.\w+"
    r"|torch\.optim\.[\w.]+|distiller\.[\w.]+"
    r"|torchao\.quantization\.(granularity\.\w+|quant_primitives\.MappingType)"
    r"|torchao\.quantization\.([\w.]+\.)?QuantizeTensorToInt8Kwargs"
)
_MAPPINGS = ("collections.defaultdict",)


class StandIn:
    """An object of a class that is not loaded."""

    def __init__(self, *args: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


def _plain_mapping(*args: Any) -> dict[Any, Any]:
    return {}


def check_names(path: Path, names: Iterable[str]) -> None:
    """Raise CheckpointError for names that are neither torch's tensors nor plain data."""
    foreign = [name for name in names if not _allowed(name)]
    if not foreign:
        return
    if "torch.ScriptObject" in foreign or "torch._C.ScriptObject" in foreign:
        raise CheckpointError(
            f"{path}: holds ScriptObject parameters, as dynamically quantised LSTMs do; their "
            "weights lie packed in a program of torch's: save the float model's state dict, and "
            "let spusim quantise it"
        )
    others = f" (and {len(foreign) - 1} more)" if len(foreign) > 1 else ""
    raise CheckpointError(
        f"{path}: holds a pickled {foreign[0]}{others}, and loading it would run the file's "
        f"code, so nothing of it was loaded; {SAVE_STATE}"
    )


def stand_ins(torch: Any, names: Iterable[str]) -> list[Any]:
    """Return what torch.serialization.safe_globals needs, for names that were checked."""
    made: list[Any] = []
    for name in names:
        if name in _MAPPINGS:
            made.append((_plain_mapping, name))
        elif _INT8_TENSOR.fullmatch(name):
            made.append((_int8_tensor(torch), name))
        elif _PLAIN_DATA.fullmatch(name):
            made.append((StandIn, name))
    return made


def _allowed(name: str) -> bool:
    kinds = (_TENSORS, _INT8_TENSOR, _PLAIN_DATA)
    return name in _MAPPINGS or any(kind.fullmatch(name) for kind in kinds)


def _int8_tensor(torch: Any) -> type:
    """Return a class that takes the place of torchao's Int8Tensor, and is as much as its parts."""

    def dispatch(cls: type, function: Any, *args: Any) -> Any:
        raise TypeError(f"a stand-in cannot compute {function}")

    return type("Int8Tensor", (torch.Tensor,), {"__torch_dispatch__": classmethod(dispatch)})
