"""Safetensors files of networks and of feature codes, the same bytes for the same content."""

from __future__ import annotations

import json
from pathlib import Path

from model import PENCIL, State, sparsity
from safetensors.torch import save
from speech import CODE_SCALE, HOP, LABELS, SAMPLE_RATE, WINDOW


def write(path: Path, tensors: State, metadata: dict[str, str]) -> None:
    """Write a safetensors file whose header has a fixed order (the library's is random)."""
    data = save(tensors, metadata)
    length = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True, separators=(",", ":"))
    padded = header.encode() + b" " * (-len(header.encode()) % 8)
    path.write_bytes(len(padded).to_bytes(8, "little") + padded + data[8 + length :])


def save_network(path: Path, state: State, name: str) -> None:
    """Write the tensors of a network with a description of what they are."""
    zeros = sparsity(state)
    metadata = {
        "network": name,
        "labels": json.dumps(LABELS),
        "created_by": "benchmarks/kws/train.py",
        "pruning": f"pencils of {PENCIL} consecutive output rows of one input column, "
        "kept or dropped by L2 norm within each layer"
        if zeros["all four"] > 0.5
        else "none",
        "density": json.dumps({key: round(1 - part, 4) for key, part in zeros.items()}),
        "input": f"features = code * {CODE_SCALE}; logits are the mean over all frames",
    }
    write(path, state, metadata)


def feature_metadata(what: str, **more: str) -> dict[str, str]:
    """Return safetensors metadata describing feature codes."""
    return {
        "content": what,
        "scale": "1/16",
        "labels": json.dumps(LABELS),
        "sample_rate_hz": str(SAMPLE_RATE),
        "hop_samples": str(HOP),
        "window_samples": str(WINDOW),
        "created_by": "benchmarks/kws/train.py",
        **more,
    }
