"""The example plans, bit for bit: the vendor's integers, the reference, golden and machine."""

from pathlib import Path

import numpy as np
import pytest
from fqir_agreement import check_file
from fqir_reference import load_plan_file, quantise, run_plan

from spusim.api import load_plan, load_stream
from spusim.frontend import quantise_input

HERE = Path(__file__).parent / "data"
SHARED = Path(__file__).resolve().parents[4] / "shared" / "fqir"
NAMES = ("mlp", "mlp8", "gru", "lstm", "tcn")


def example(name: str) -> tuple[Path, dict[str, np.ndarray]]:
    """Return an example's plan and arrays; two are copied here, the others are beside the repo."""
    folder = HERE if (HERE / f"{name}.npz").exists() else SHARED
    if not (folder / f"{name}.npz").exists():
        pytest.skip(f"the example {name} is not here: it comes with the project's shared data")
    with np.load(folder / f"{name}.npz") as arrays:
        return folder / f"{name}.plan.json", {key: np.atleast_2d(arrays[key]) for key in arrays}


@pytest.mark.parametrize("name", NAMES)
def test_golden_and_machine_give_the_vendors_integers(name: str) -> None:
    path, arrays = example(name)
    check_file(path, arrays["x_int"].astype(np.int32), arrays["y_int"], machine=True)


@pytest.mark.parametrize("name", NAMES)
def test_reference_gives_the_vendors_integers(name: str) -> None:
    path, arrays = example(name)
    found = run_plan(load_plan_file(path), arrays["x_int"].tolist())
    np.testing.assert_array_equal(found, arrays["y_int"])


@pytest.mark.parametrize("name", NAMES)
def test_real_values_go_through_quant(name: str) -> None:
    path, arrays = example(name)
    network = load_plan(path)
    stream = load_stream(f"{path.with_name(name)}.npz:x_float", network)
    codes = quantise_input(stream, network).frames
    np.testing.assert_array_equal(codes, arrays["x_int"])
    wanted = [quantise(frame, load_plan_file(path)) for frame in arrays["x_float"].tolist()]
    np.testing.assert_array_equal(codes, wanted)


@pytest.mark.parametrize("name", NAMES)
def test_output_exponent_is_dequants(name: str) -> None:
    path, arrays = example(name)
    network = load_plan(path)
    quanta = {out.name: out for node in network.nodes for out in made_by(node)}
    exponent = quanta[network.output].quantum.exponent
    np.testing.assert_array_equal(np.ldexp(arrays["y_int"], exponent), arrays["y_deq"])


def made_by(node) -> list:
    """Return the tensors that a node makes."""
    return [head.output for head in node.heads] if hasattr(node, "heads") else [node.output]


def test_values_between_two_codes_round_down() -> None:
    path, _ = example("mlp")
    network = load_plan(path)
    stream = load_stream(f"{path.with_name('mlp')}.npz:x_float", network)
    frames = np.full((1, 32), -0.75 * 2.0**network.input.quantum.exponent)
    codes = quantise_input(stream.__class__(frames, (0,), ("a",)), network).frames
    assert set(codes.ravel()) == {-1}
    frames = np.full((1, 32), 1e9)
    codes = quantise_input(stream.__class__(frames, (0,), ("a",)), network).frames
    assert set(codes.ravel()) == {2**15 - 1}
