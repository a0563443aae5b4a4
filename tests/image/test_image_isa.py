"""Program images of another instruction set are refused."""

import dataclasses
from pathlib import Path

import pytest
from image_programs import PROGRAM

from spusim.image import ImageError, file, load_program, save_program
from spusim.isa import Isa, load_isa, read_isa
from spusim.program import Program
from spusim.resources import shipped

# other instruction sets


def isa_like_ours(version: str, state: str, old: str = "", new: str = "") -> Isa:
    """Return the shipped table under another version and state, with one text changed."""
    ours = load_isa()
    text = (shipped("isa") / "spu.isa").read_text()
    text = text.replace(f"version {ours.version} {ours.state}", f"version {version} {state}")
    assert old in text
    return read_isa(text.replace(old, new, 1) if old else text, "other.isa")


def load_under(isa: Isa, path: Path, monkeypatch) -> Program:
    """Load as a spusim would that ships another table."""
    with monkeypatch.context() as patch:
        patch.setattr(file, "load_isa", lambda: isa)
        return load_program(path)


@pytest.fixture(params=["draft", "frozen"])
def stamped(request, tmp_path, monkeypatch) -> tuple[str, Path]:
    """Return a state, and the path of a program saved under a table 8.1 in that state."""
    monkeypatch.setattr(file, "load_isa", lambda: isa_like_ours("8.1", request.param))
    save_program(dataclasses.replace(PROGRAM, isa_version="8.1"), tmp_path / "p.spu")
    return request.param, tmp_path / "p.spu"


def test_other_isa_version_names_both_and_the_remedy(stamped, monkeypatch):
    state, path = stamped
    with pytest.raises(ImageError, match=r"for ISA 8\.1, this spusim has ISA 8\.2; compile"):
        load_under(isa_like_ours("8.2", state), path, monkeypatch)


def test_draft_table_must_be_the_same_and_a_frozen_one_may_mend_its_prose(stamped, monkeypatch):
    state, path = stamped
    prose = isa_like_ours("8.1", state, "Do nothing", "Do not anything")
    if state == "frozen":
        assert load_under(prose, path, monkeypatch).isa_version == "8.1"
    else:
        with pytest.raises(ImageError, match=r"another table of ISA 8\.1 \(draft\): hash"):
            load_under(prose, path, monkeypatch)


def test_other_encoding_is_refused_in_every_state(stamped, monkeypatch):
    state, path = stamped
    with pytest.raises(ImageError, match=r"another table of ISA 8\.1"):
        load_under(isa_like_ours("8.1", state, "nop   0x00", "nop   0x0f"), path, monkeypatch)


def test_image_is_refused_once_its_version_changed_state(stamped, monkeypatch):
    state, path = stamped
    other = {"draft": "frozen", "frozen": "draft"}[state]
    with pytest.raises(ImageError, match=rf"another table of ISA 8\.1 \({state}\)"):
        load_under(isa_like_ours("8.1", other), path, monkeypatch)


def test_program_for_another_isa_is_not_saved(tmp_path):
    with pytest.raises(ImageError, match=r"is for ISA 9\.9, this spusim has "):
        save_program(dataclasses.replace(PROGRAM, isa_version="9.9"), tmp_path / "p.spu")
