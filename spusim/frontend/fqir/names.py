"""Which files are plans."""

from pathlib import Path


def is_plan(name: str | Path) -> bool:
    """Tell whether a name is a plan's, by its suffix (.plan.json, or any .json)."""
    return Path(name).suffix.lower() == ".json"
