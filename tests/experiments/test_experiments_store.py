"""Output folders: whole or not at all, and never over somebody's files."""

import errno
import os
from pathlib import Path

import pytest

from spusim.experiments.store import OutputError, check_folder, write_file, write_folder

FILES = {"result.json": b'{"schema_version": 1}', "outputs.npz": b"12"}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_new_folder_with_its_parents(tmp_path):
    out = tmp_path / "a" / "b"
    assert write_folder(out, FILES) == [out / "result.json", out / "outputs.npz"]
    assert contents(out) == FILES
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_folder_has_usual_rights(tmp_path):
    (tmp_path / "usual").mkdir()
    write_folder(tmp_path / "out", FILES)
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_empty_folder_and_our_own(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    write_folder(out, FILES)
    (out / "notes.txt").write_text("mine")
    write_folder(out, {**FILES, "outputs.npz": b"34"})
    assert contents(out) == {**FILES, "outputs.npz": b"34", "notes.txt": b"mine"}


@pytest.mark.parametrize("text", [None, "{", "[1]", "3", '{"other": 1}'])
def test_folder_of_somebody_else(tmp_path, text):
    (tmp_path / "thesis.tex").write_text("dear")
    if text is not None:
        (tmp_path / "result.json").write_text(text)
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="name a new or empty folder"):
        write_folder(tmp_path, FILES)
    assert contents(tmp_path) == before


def test_working_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_folder(".", FILES)
    assert contents(Path.cwd()) == FILES


def test_places_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file"):
        check_folder(tmp_path / "file")
    with pytest.raises(OutputError, match="nothing can lie in it"):
        check_folder(tmp_path / "file" / "out")
    with pytest.raises(OutputError, match="is a folder"):
        write_file(tmp_path, b"x")
    with pytest.raises(OutputError, match="cannot be written"):
        write_file(tmp_path / "none" / "x", b"x")


@pytest.mark.parametrize("reason", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("ours", [True, False])
def test_failure_on_the_way_leaves_nothing(tmp_path, monkeypatch, reason, ours):
    out = tmp_path / "a" / "out"
    if ours:
        write_folder(out, FILES)
    before = sorted(tmp_path.rglob("*"))
    calls = []

    def failing(_descriptor):
        calls.append(1)
        if len(calls) == 2:
            raise reason

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        write_folder(out, {name: b"new" for name in FILES})
    assert sorted(tmp_path.rglob("*")) == before
    if ours:
        assert contents(out) == FILES


def test_file_is_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / "x.md"
    write_file(path, b"one")
    write_file(path, b"two")
    assert contents(tmp_path) == {"x.md": b"two"}

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write_file(path, b"three")
    assert contents(tmp_path) == {"x.md": b"two"}
