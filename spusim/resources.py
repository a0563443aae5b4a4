"""Where the shipped `configs/` and `isa/` folders are, in a checkout and in an installed wheel."""

from pathlib import Path

from spusim.errors import SpusimError

# Links to the top level's folders in a checkout, copies of them in a wheel.
_SHIPPED = Path(__file__).resolve().parent / "_shipped"


def shipped(folder: str) -> Path:
    """Return the shipped folder `configs` or `isa`; raises SpusimError if the install lacks it."""
    path = (_SHIPPED / folder).resolve()
    if not path.is_dir():
        raise SpusimError(f"shipped folder {folder}/ is missing from {_SHIPPED}; reinstall spusim")
    return path
