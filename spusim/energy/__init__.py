"""Energy, power and area: exact event counts times a technology table."""

from spusim.energy.attach import EnergyError, attach_energy
from spusim.energy.report import power_w, report_fields
from spusim.energy.technology import (
    Technology,
    TechnologyError,
    list_technologies,
    load_technology,
)

__all__ = [
    "EnergyError",
    "Technology",
    "TechnologyError",
    "attach_energy",
    "list_technologies",
    "load_technology",
    "power_w",
    "report_fields",
]
