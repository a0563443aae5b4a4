"""Output folders and files that appear whole or not at all."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from spusim.errors import SpusimError

RESULT_NAME = "result.json"


class OutputError(SpusimError):
    """A place that results cannot be written to."""


def check_folder(folder: str | Path) -> None:
    """Raise OutputError unless results can go there: a new folder, an empty one, or one of ours.

    To be called before the work, so that nobody simulates for nothing.
    """
    path = Path(folder).absolute()
    if path.is_dir():
        _check_ours(path)
    check_place(folder)


def check_place(folder: str | Path) -> None:
    """Raise OutputError unless a folder is there or can be made, and can be written to."""
    path = Path(folder).absolute()
    if path.exists() and not path.is_dir():
        raise OutputError(f"{folder}: is a file; name a folder for the results")
    above = next(place for place in (path, *path.parents) if place.exists())
    if not above.is_dir():
        raise OutputError(f"{folder}: {above} is a file, so nothing can lie in it; choose another")
    if not os.access(above, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: no permission to write in {above}; choose another folder")


def write_folder(folder: str | Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files into a folder, making it if need be; return their paths.

    A new folder appears with all its files in it; in one of ours each file is replaced whole,
    `result.json` last. Raises OutputError.
    """
    check_folder(folder)
    path = Path(folder)
    with _told(path), _new_parents(path.absolute().parent), _part(path) as part:
        for name, data in files.items():
            _write(part / name, data)
        if path.is_dir():
            for name in sorted(files, key=lambda name: name == RESULT_NAME):
                os.replace(part / name, path / name)
        else:
            part.rename(path)
    return [path / name for name in files]


def write_file(path: str | Path, data: bytes) -> None:
    """Write one file, whole or not at all. Raises OutputError."""
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; name a file")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with _told(path):
        try:
            _write(part, data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _check_ours(path: Path) -> None:
    result = path / RESULT_NAME
    if not any(path.iterdir()):
        return
    try:
        ours = "schema_version" in json.loads(result.read_bytes())
    except (OSError, ValueError, TypeError):
        ours = False
    if not ours:
        raise OutputError(
            f"{path}: holds files, but no {RESULT_NAME} of an earlier run; "
            "name a new or empty folder, so that nothing of yours is overwritten"
        )


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path}: cannot be written ({reason}); check path, space and permission"
        ) from error


@contextmanager
def _new_parents(folder: Path) -> Iterator[None]:
    """Make a folder and those above it; if the body fails, remove what was made."""
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for place in made:
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()
        raise


@contextmanager
def _part(folder: Path) -> Iterator[Path]:
    """Make a folder beside `folder` to write in; it is gone afterwards."""
    absolute = folder.absolute()
    part = absolute.with_name(f".{absolute.name}.{secrets.token_hex(4)}.part")
    try:
        part.mkdir()
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
