"""Checkpoints as files, and what is said of them."""

import os
import re
from pathlib import Path

import pytest
import torch

from spusim.frontend import CheckpointError, load_state_dict, read_checkpoint


class Planted:
    """Unpickling this makes a folder, which is how the test sees that it ran."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


def saved(tmp_path: Path, content: object, name: str = "net.pt") -> Path:
    """Save content with torch and return the path."""
    torch.save(content, tmp_path / name)
    return tmp_path / name


def said(path: Path) -> str:
    """Return what is told of a checkpoint's form."""
    return "\n".join(read_checkpoint(path).forms)


def refused(path: Path, *patterns: str) -> str:
    """Check that a file is refused with a message that names it and matches the patterns."""
    with pytest.raises(CheckpointError) as caught:
        load_state_dict(path)
    message = str(caught.value)
    assert str(path) in message
    for pattern in patterns:
        assert re.search(pattern, message), message
    return message


def sparse_weight(rows: int = 8, columns: int = 12) -> torch.Tensor:
    """Return a weight with zeros, in blocks that every sparse layout takes."""
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(1))
    weight[:4, 4:8] = 0
    weight[weight.abs() < 0.3] = 0
    return weight
