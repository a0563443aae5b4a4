"""Programs that contradict themselves are not saved, and no file is half-written."""

import dataclasses
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from image_programs import CODE, PROGRAM

from spusim.image import ImageError, save_program
from spusim.program import Program, Table

# what is not saved


def with_core(**changes) -> Program:
    """Return the program with another core 0."""
    return dataclasses.replace(
        PROGRAM, cores=(dataclasses.replace(PROGRAM.cores[0], **changes), PROGRAM.cores[1])
    )


def with_matrix(**changes) -> Program:
    """Return the program with other fields of core 0's first matrix's image."""
    first = PROGRAM.cores[0].matrices[0]
    packed = dataclasses.replace(first.packed, **changes)
    return with_core(matrices=(dataclasses.replace(first, packed=packed),))


SLICES = PROGRAM.cores[0].matrices[0].packed.slices
UNSAVED = {
    "code dtype": (lambda: with_core(code=CODE.astype(np.int64)), "1-dimensional uint64 array"),
    "code list": (lambda: with_core(code=CODE.tolist()), "1-dimensional uint64 array"),
    "bad code": (lambda: with_core(code=CODE + np.uint64(1 << 55)), "core0.code: instruction 0"),
    "slice dtype": (
        lambda: with_matrix(slices=tuple(s.astype(np.int8) for s in SLICES)),
        "slices must each be a 2-dimensional uint8 array",
    ),
    "slices list": (lambda: with_matrix(slices=[*SLICES]), "slices must each be"),
    "slice width": (
        lambda: with_matrix(slices=(SLICES[0], SLICES[1][:, :4])),
        "slices must share one row size, they have [4, 8] bytes",
    ),
    "layout width": (
        lambda: with_matrix(slices=tuple(s[:, :4] for s in SLICES)),
        "not words of 64 bits",
    ),
    "PE missing": (lambda: with_matrix(slices=SLICES[:1]), "not all of its PEs are there"),
    "wide": (lambda: with_matrix(rows=2**32), "rows (=4294967296) must be 0 to"),
    "tuple": (lambda: dataclasses.replace(PROGRAM, labels=["a"]), "program.labels must be a tuple"),
    "record": (lambda: dataclasses.replace(PROGRAM, input=None), "must be a InputPort, not None"),
    "float": (lambda: dataclasses.replace(PROGRAM, pes=2.0), "program.pes (=2.0) must be int"),
    "dict": (lambda: dataclasses.replace(PROGRAM, hashes=[]), "program.hashes"),
    "table": (
        lambda: with_core(
            tables=(Table("t", np.zeros(16, dtype=np.int32), 0, 4, 8, interpolate=True),)
        ),
        "table t has 16 of 17 entries",
    ),
}


@pytest.mark.parametrize("make, reason", UNSAVED.values(), ids=UNSAVED.keys())
def test_programs_that_contradict_themselves_are_not_saved(tmp_path, make, reason):
    with pytest.raises(ImageError) as error:
        save_program(make(), tmp_path / "p.spu")
    assert reason in str(error.value)
    assert not any(tmp_path.iterdir())


# nothing half-written


@contextmanager
def file_size_limit(size: int):
    """Make the system refuse to write beyond a size, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_leaves_the_old_file_and_nothing_else(path, whole):
    with pytest.raises(ImageError, match="cannot be written"), file_size_limit(1000):
        save_program(dataclasses.replace(PROGRAM, name="new"), path)
    assert path.read_bytes() == whole
    assert [p.name for p in path.parent.iterdir()] == ["p.spu"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_interruption_leaves_the_old_file_and_nothing_else(path, whole, monkeypatch, call):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[call], interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_program(dataclasses.replace(PROGRAM, name="new"), path)
    assert path.read_bytes() == whole
    assert [p.name for p in path.parent.iterdir()] == ["p.spu"]


def test_missing_folder_is_an_image_error(tmp_path):
    with pytest.raises(ImageError, match="cannot be written"):
        save_program(PROGRAM, tmp_path / "no" / "p.spu")


def test_saved_file_has_the_users_permissions(path):
    reference = path.with_name("reference")
    reference.touch()
    assert path.stat().st_mode == reference.stat().st_mode
