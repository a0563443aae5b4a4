"""Images in parts that a window cannot read: refused in the network file's own names."""

from pathlib import Path

import pytest

from spusim.api import compile_network, load_arch, load_network
from spusim.compiler.errors import CompileError

NETWORK = """\
name: joined
weights: random:seed=0
input: {{channels: {channels}, height: 4, width: 4, bits: 8}}
layers:
  - {{type: conv2d, name: front, outputs: 8, kernel: 3, padding: 1}}
  - {{type: concat, name: both, inputs: [front, input]}}
  - {{type: conv2d, name: back, outputs: 8, kernel: 3, padding: 1}}
quantise: {{weights: 8, activations: 8, calibrate: "noise:frames=1,seed=0"}}
"""


def joined(folder: Path, channels: int):
    path = folder / "joined.yaml"
    path.write_text(NETWORK.format(channels=channels))
    return load_network(str(path))


def test_a_joined_image_is_refused_by_the_layer_that_joins_it(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as refused:
        compile_network(joined(tmp_path, 3), load_arch("row64"))
    message = str(refused.value)
    assert "parts, which layer both joins or slices, do not fill words of 64 bits" in message
    assert "multiples of 8 channels, or take core.dataflow pixel (smartskip)" in message
    assert ".copy" not in message


def test_what_the_refusal_advises_compiles(tmp_path: Path) -> None:
    compile_network(joined(tmp_path, 8), load_arch("row64"))
    compile_network(joined(tmp_path, 3), load_arch("smartskip"))
