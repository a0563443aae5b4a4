"""What assembly may write besides integers: names of operand values, and what is relative."""

import re

from spusim.isa.spec import Field

HOST_BIT = 15
HOST = "host"
CORES_KIND = "cores"  # written as a set: {0,1}, {host}
VALUE_NAMES = {"table": {"none": 63, "relu": 62}}
# operands that a label may give: as the distance from the next instruction to the label
RELATIVE = frozenset({("loop", "body")})

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


def value_names(field: Field) -> dict[str, int]:
    """Return the names that an operand's values have in assembly."""
    names = {name: index for index, name in enumerate(field.kind.names)}
    return names | VALUE_NAMES.get(field.kind.name, {})


def reserved_names(fields: tuple[Field, ...]) -> frozenset[str]:
    """Return the names that a label or constant must not take, for they are operands' values."""
    return frozenset({HOST}.union(*(value_names(f) for f in fields)))
