"""FQIR plans: the integer graphs of Femtosense's tools, read from JSON into a Network."""

from spusim.frontend.fqir.errors import PlanError
from spusim.frontend.fqir.inspect import PlanContents, inspect_plan
from spusim.frontend.fqir.load import Plan, check_numerics, load_plan, open_plan
from spusim.frontend.fqir.operations import OPERATIONS, Operation
from spusim.frontend.fqir.plan import is_plan

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
