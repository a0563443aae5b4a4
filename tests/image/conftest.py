"""Make image_programs.py importable; the images that these tests start from."""

import sys
from pathlib import Path

import pytest

from spusim.image import save_program

sys.path.append(str(Path(__file__).parent))

from image_programs import PROGRAM


@pytest.fixture
def path(tmp_path) -> Path:
    """Return the path of a saved program."""
    save_program(PROGRAM, tmp_path / "p.spu")
    return tmp_path / "p.spu"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """Return the bytes of a saved program."""
    path = tmp_path_factory.mktemp("whole") / "p.spu"
    save_program(PROGRAM, path)
    return path.read_bytes()
