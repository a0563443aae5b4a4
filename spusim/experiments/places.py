"""What files name: things that ship, or paths from the folder of the file that names them."""

from collections.abc import Sequence
from pathlib import Path

from spusim.arch.document import Entry
from spusim.errors import SpusimError, nearest
from spusim.frontend import list_streams
from spusim.frontend.noise import PREFIX as NOISE


def named(key: str, entry: Entry, shipped: Sequence[str], error: type[SpusimError]) -> str:
    """Return a shipped name as it is, and a path made good; raises `error` for neither."""
    value = str(entry.value)
    if value in shipped:
        return value
    path = beside(entry, value)
    if path.is_file():
        return str(path)
    hint = nearest(value, shipped, "shipped")
    raise error(f"{entry.origin}: {key} (={value}) is no file and not shipped; {hint}")


def stream_named(entry: Entry, error: type[SpusimError]) -> str:
    """Return a stream as `load_stream` takes it, its path made good; raises `error`."""
    spec = str(entry.value)
    if spec in list_streams() or spec.startswith(("random:", NOISE)):
        return spec
    stem, colon, key = spec.rpartition(":")
    if colon and beside(entry, stem).exists():
        return f"{beside(entry, stem)}:{key}"
    if beside(entry, spec).exists():
        return str(beside(entry, spec))
    raise error(
        f"{entry.origin}: stream (={spec}) is no file, folder or shipped name; "
        f"shipped: {', '.join(list_streams())}, or random:density=0.5,frames=50,seed=1"
    )


def beside(entry: Entry, path: str) -> Path:
    """Return a path from the folder of the file that set an entry."""
    return Path(entry.origin.rpartition(":")[0]).parent / path
