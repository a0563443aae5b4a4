"""What a torch file's pickles would call and how much they claim, found without doing either.

Every name in the pickle stands for an inert object, and nothing is imported or called, so a file
can be judged before torch's own interpreter sees it.
"""

import pickle
import tarfile
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from spusim.frontend.errors import CheckpointError
from spusim.frontend.stored import check_bytes

SAVE_STATE = "save weights alone: torch.save(model.state_dict(), PATH)"
AGAIN = "save or download it again"
MOST_PICKLE_BYTES = 8 << 20  # tensors lie beside the pickle, and no model has so many
MOST_NAMES = 1000
_LEGACY_PICKLES = 5  # magic number, version, system, content, storages' keys; raw data follows
_ITEM_BYTES = {
    "Double": 8, "Long": 8, "ComplexFloat": 8, "ComplexDouble": 16, "Half": 2, "BFloat16": 2,
    "Short": 2, "Char": 1, "Byte": 1, "Bool": 1, "QInt8": 1, "QUInt8": 1, "QUInt4x2": 1,
    "QUInt2x4": 1, "Untyped": 1,
}  # fmt: skip
_ITEM_BYTES_ELSE = 4


@dataclass
class Scan:
    """Names that pickles would import, in their order; and the bytes of each storage claimed.

    names: with the inert class that stood for each.
    """

    names: dict[str, type] = field(default_factory=dict)
    claims: dict[str, int] = field(default_factory=dict)


class _Inert:
    """Takes whatever a pickle does to an object, and does nothing."""

    path = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, item: Any) -> None: ...

    def extend(self, items: Any) -> None: ...

    add = append


class _Bounded:
    """A file of which pickles may read so much and no more, whatever they claim to hold."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file, self._left = path, file, MOST_PICKLE_BYTES

    def check(self, count: int) -> None:
        """Raise CheckpointError for more bytes than may still be read."""
        if count > self._left:
            raise CheckpointError(
                f"{self._path}: its pickle holds or claims more than {MOST_PICKLE_BYTES >> 20} MiB "
                f"beside the tensors; {SAVE_STATE}"
            )

    def read(self, count: int) -> bytes:
        """Return the next bytes."""
        self.check(count)
        self._left -= count
        return self._file.read(count)

    def readline(self) -> bytes:
        """Return the next line."""
        line = self._file.readline(self._left + 1)
        self.check(len(line))
        self._left -= len(line)
        return line


# In C a single instruction may set aside gigabytes (LONG_BINPUT's table of results); in Python
# results are a dict, and what is set aside is what is read.
class _Scanner(pickle._Unpickler):
    # not among torch's instructions, and sets aside what it claims
    dispatch: ClassVar = {
        code: read for code, read in pickle._Unpickler.dispatch.items()
        if code != pickle.BYTEARRAY8[0]
    }  # fmt: skip

    def __init__(self, file: _Bounded, scan: Scan) -> None:
        super().__init__(file, encoding="latin1")
        self._scan = scan

    def find_class(self, module: str, name: str) -> Any:
        # protocol 2 writes Python 2's names, which torch translates as well
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        path = f"{module}.{name}"
        if path not in self._scan.names:
            if len(self._scan.names) == MOST_NAMES:
                raise pickle.UnpicklingError(f"names more than {MOST_NAMES} things")
            self._scan.names[path] = type("_Inert", (_Inert,), {"path": path})
        return self._scan.names[path]

    def persistent_load(self, pid: Any) -> Any:
        if isinstance(pid, tuple) and len(pid) >= 5 and isinstance(pid[4], int):
            kind = str(getattr(pid[1], "path", "")).rpartition(".")[2].removesuffix("Storage")
            self._scan.claims[str(pid[2])] = pid[4] * _ITEM_BYTES.get(kind, _ITEM_BYTES_ELSE)
        return _Inert()


def scan_torch_file(path: Path) -> Scan:
    """Return what the pickles of a torch file name and claim.

    Raises CheckpointError for files of another kind, and for those whose storages or archive
    claim more than the file or memory holds.
    """
    if _starts_as_zip(path):
        return _scan_zip(path)
    if _is_tar(path):
        raise CheckpointError(
            f"{path}: is a tar archive: unpack it and name the checkpoint in it; one written by "
            f"torch before 0.2 must be loaded and saved again with a newer torch"
        )
    return _scan_legacy(path)


def _starts_as_zip(path: Path) -> bool:
    """Tell a zip archive as torch does, lest it reads what was not scanned."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except (ValueError, EOFError, OSError):  # of a damaged file
        return False


def _scan_zip(path: Path) -> Scan:
    scan = Scan()
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = _sizes(path, archive)
            pickles = [name for name in sizes if name.rpartition("/")[2] == "data.pkl"]
            if any(name.rpartition("/")[2] == "constants.pkl" for name in sizes):
                raise CheckpointError(
                    f"{path}: is a TorchScript archive, which is a program and not weights; "
                    f"{SAVE_STATE}"
                )
            if len(pickles) != 1:
                raise CheckpointError(
                    f"{path}: is a zip archive with {len(pickles)} data.pkl, so no torch "
                    f"checkpoint; {SAVE_STATE}"
                )
            with archive.open(pickles[0]) as file:
                bounded = _Bounded(path, file)  # type: ignore[arg-type]
                bounded.check(sizes[pickles[0]])
                _scan_one(path, bounded, scan)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError) as error:
        raise _incomplete(path, str(error)) from error
    folder = pickles[0].removesuffix("data.pkl")
    _check_claims(path, scan, {key: sizes.get(f"{folder}data/{key}", 0) for key in scan.claims})
    return scan


def _check_claims(path: Path, scan: Scan, held: Mapping[str, int]) -> None:
    for key, count in scan.claims.items():
        if count > held[key]:
            raise _incomplete(
                path, f"storage {key} claims {count:,} bytes, the file has {held[key]:,}"
            )


def _sizes(path: Path, archive: zipfile.ZipFile) -> dict[str, int]:
    """Return the unpacked sizes of an archive's entries, if they are honest and bearable."""
    entries = archive.infolist()
    check_bytes(path, "its entries unpack to", sum(entry.file_size for entry in entries))
    sizes = {entry.filename: entry.file_size for entry in entries}
    if len(sizes) < len(entries):
        raise CheckpointError(f"{path}: holds two entries of one name; {AGAIN}")
    return sizes


def _scan_legacy(path: Path) -> Scan:
    scan = Scan()
    with path.open("rb") as file:
        bounded = _Bounded(path, file)
        for _ in range(_LEGACY_PICKLES):
            _scan_one(path, bounded, scan)
    _check_claims(path, scan, dict.fromkeys(scan.claims, path.stat().st_size))
    return scan


def _scan_one(path: Path, file: _Bounded, scan: Scan) -> None:
    try:
        _Scanner(file, scan).load()
    except CheckpointError:
        raise
    # damaged pickles raise almost anything; what was named so far still counts
    except (Exception, RecursionError) as error:
        if not scan.names:
            first_line = next(iter(str(error).splitlines()), type(error).__name__)
            raise _incomplete(path, first_line) from error


def _incomplete(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{path}: not a complete torch checkpoint ({reason}); {AGAIN}")
