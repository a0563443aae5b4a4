"""A small sweep in a folder: a random layer and a chain of two layers, on the `tiny` machine."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from spusim.experiments.sweep.file import load_sweep
from spusim.experiments.sweep.parts import open_parts
from spusim.experiments.sweep.points import make_points
from spusim.experiments.sweep.pools import local_pool
from spusim.experiments.sweep.run import run_sweep

NETWORK = """\
name: mini
weights: mini.safetensors
input: {size: 8, bits: 16}
layers:
  - {type: linear, name: fc1, outputs: 12}
  - {type: relu, name: relu}
  - {type: linear, name: fc2, outputs: 3}
labels: ["a", "b", "c"]
quantise: {calibrate: "mini.npz:frames"}
"""
LAYER = """\
layer: {inputs: 24, outputs: 16, activation_density: 0.5}
arch: tiny
grid:
  layer.weight_density: [0.25, 0.5, 1.0]
  core.queue.depth: [1, 2]
"""


def write_network(folder: Path) -> None:
    rng = np.random.default_rng(3)
    shapes = {"fc1.weight": (12, 8), "fc1.bias": (12,), "fc2.weight": (3, 12), "fc2.bias": (3,)}
    state = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    (folder / "mini.yaml").write_text(NETWORK)
    save_file(state, folder / "mini.safetensors")
    np.savez(folder / "mini.npz", frames=rng.normal(size=(5, 8)))


def write_sweep(folder: Path, text: str, name: str = "s") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def points_of(path: Path):
    return make_points(open_parts(load_sweep(path)))


def run(path: Path, folder: Path, jobs: int = 1, pool=None, watch=lambda progress: None):
    sweep = load_sweep(path)
    parts = open_parts(sweep)
    return run_sweep(
        sweep, parts, make_points(parts), folder, pool or (lambda: local_pool(jobs)), watch
    )


@contextmanager
def no_pool():
    raise AssertionError("nothing is left to compute, so no worker may be started")
    yield


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder by its path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
