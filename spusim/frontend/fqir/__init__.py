"""FQIR plans: the integer graphs of Femtosense's tools, read from JSON into a Network.

Names are loaded when they are first used: most runs only ask whether a file is a plan.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spusim.frontend.fqir.errors import PlanError
from spusim.frontend.fqir.names import is_plan

if TYPE_CHECKING:
    from spusim.frontend.fqir.inspect import PlanContents, inspect_plan
    from spusim.frontend.fqir.load import Plan, check_numerics, load_plan, open_plan
    from spusim.frontend.fqir.operations import OPERATIONS, Operation

__all__ = [
    "OPERATIONS",
    "Operation",
    "Plan",
    "PlanContents",
    "PlanError",
    "check_numerics",
    "inspect_plan",
    "is_plan",
    "load_plan",
    "open_plan",
]
_PLACES = {
    "PlanContents": "inspect",
    "inspect_plan": "inspect",
    "Plan": "load",
    "check_numerics": "load",
    "load_plan": "load",
    "open_plan": "load",
    "OPERATIONS": "operations",
    "Operation": "operations",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its file."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
