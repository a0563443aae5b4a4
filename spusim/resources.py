"""Where the shipped `configs/` and `isa/` folders are, in a checkout and in an installed wheel."""

from pathlib import Path

from spusim.errors import SpusimError

_PACKAGE = Path(__file__).resolve().parent


def shipped(folder: str) -> Path:
    """Return the shipped folder `configs` or `isa`; raises SpusimError if the install lacks it."""
    for root in (_PACKAGE / "_shipped", _PACKAGE.parent):
        candidate = root / folder
        if candidate.is_dir() and candidate != _PACKAGE / folder:
            return candidate
    raise SpusimError(
        f"shipped folder {folder}/ is missing from {_PACKAGE}; reinstall spusim, which brings it"
    )
