"""spusim: a cycle-accurate, bit-exact simulator of sparse processing units.

Names are loaded when they are first used, so that `import spusim` is quick.
"""

from typing import TYPE_CHECKING, Any

from spusim.errors import SpusimError

if TYPE_CHECKING:
    from spusim.api import (
        compile_layer,
        compile_network,
        load_arch,
        load_network,
        load_plan,
        load_stream,
        prune,
        quantize,
        random_codebook,
        random_layer,
        record_layer,
        record_values,
        retime,
        retime_layer,
        simulate,
        simulate_layer,
        simulate_program,
    )

__version__ = "0.1.0"

__all__ = [
    "SpusimError",
    "__version__",
    "compile_layer",
    "compile_network",
    "load_arch",
    "load_network",
    "load_plan",
    "load_stream",
    "prune",
    "quantize",
    "random_codebook",
    "random_layer",
    "record_layer",
    "record_values",
    "retime",
    "retime_layer",
    "simulate",
    "simulate_layer",
    "simulate_program",
]


def __getattr__(name: str) -> Any:
    """Load a public name from `spusim.api`."""
    if name not in __all__:
        raise AttributeError(f"module 'spusim' has no attribute {name!r}")
    from spusim import api

    return getattr(api, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
