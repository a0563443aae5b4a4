"""A sweep's folder: whose it is, who writes to it, and the file of every point."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spusim.experiments.store import OutputError, check_folder, write_file
from spusim.experiments.sweep.columns import Told, told
from spusim.experiments.sweep.layout import LOCK_NAME, POINTS_NAME, SWEEP_NAME
from spusim.experiments.sweep.pointfile import DONE, read_point


class Store:
    """The folder of a sweep while it is written; made by `open_store`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._points = folder / POINTS_NAME

    def read(self, keys: Iterable[str]) -> tuple[dict[str, Told], list[str]]:
        """Return what is told of the keys that are done, and which are damaged."""
        found: dict[str, Told] = {}
        damaged = []
        for key in dict.fromkeys(keys):
            try:
                data = (self._points / f"{key}.json").read_bytes()
            except FileNotFoundError:
                continue
            record = read_point(key, data)
            if record is None:
                damaged.append(key)
            elif record["status"] == DONE:
                found[key] = told(record)
        return found, damaged

    def write_point(self, key: str, data: bytes) -> None:
        """Store a point, whole or not at all. Raises OutputError."""
        # texts, not paths: of what a point costs here their making would be a third
        path, part = f"{self._points}/{key}.json", f"{self._points}/.{key}.part"
        try:
            # not forced to the disk: a file that a power cut empties is found out and computed anew
            with open(part, "wb") as file:
                file.write(data)
            os.replace(part, path)
        except OSError as error:
            Path(part).unlink(missing_ok=True)
            raise OutputError(
                f"{path}: cannot be written ({error.strerror}); make room and run the sweep again, "
                "it goes on from the points that are stored"
            ) from None

    def write(self, name: str, data: bytes) -> None:
        """Write one of the sweep's own files, unless it says the same already."""
        path = self.folder / name
        if not path.is_file() or path.read_bytes() != data:
            write_file(path, data)

    def clear(self) -> None:
        """Remove what an interrupted writer left half-written."""
        for path in self._points.glob(".*.part"):
            path.unlink(missing_ok=True)


@contextmanager
def open_store(folder: Path, sweep: str) -> Iterator[Store]:
    """Make or take a sweep's folder, for this process alone.

    Raises OutputError if it belongs to another sweep or to something else, or if another process
    writes to it.
    """
    _check_owner(folder, sweep)
    try:
        (folder / POINTS_NAME).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be made ({error.strerror}); choose another folder with -o"
        ) from None
    with _locked(folder):
        store = Store(folder)
        store.clear()
        yield store


def _check_owner(folder: Path, sweep: str) -> None:
    told = folder / SWEEP_NAME
    if not told.is_file():
        left = {p.name for p in folder.iterdir()} if folder.is_dir() else set()
        if not left <= {POINTS_NAME, LOCK_NAME}:
            check_folder(folder)
            raise OutputError(f"{folder}: holds the results of a run; choose another folder")
        if not left:
            check_folder(folder)
        return
    try:
        owner = json.loads(told.read_bytes()).get("name")
    except (ValueError, AttributeError):
        owner = None  # damaged, and about to be written anew
    if owner not in (None, sweep):
        raise OutputError(
            f"{folder}: belongs to the sweep {owner}, this one is {sweep}; choose another folder "
            "with -o"
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock file; one that a dead process left is free."""
    path = folder / LOCK_NAME
    file = _lock(path)
    try:
        os.truncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)


def _lock(path: Path) -> int:
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise OutputError(
                f"{path}: cannot be written ({error.strerror}); choose another folder with -o"
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # the one before may have removed it between our opening and locking it
            if path.exists() and os.path.samestat(os.fstat(file), path.stat()):
                return file
            os.close(file)
        except BlockingIOError:
            pid = os.read(file, 32).decode().strip() or "unknown"
            os.close(file)
            raise OutputError(
                f"{path.parent}: another sweep (process {pid}) is writing there; wait for it, or "
                "choose another folder with -o"
            ) from None
