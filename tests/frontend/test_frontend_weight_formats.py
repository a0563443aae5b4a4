"""docs/numbers.md: how weights become signs, ternary digits and shared weights."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spusim
from spusim.experiments.fidelity import float_outputs, signal_to_noise_db
from spusim.frontend import find_network
from spusim.frontend.quanta import quantum_for
from spusim.frontend.shared_weights import cluster_means
from spusim.frontend.topology_file import load_topology
from spusim.frontend.weight_formats import STORED_BITS, WEIGHT_FORMATS
from spusim.frontend.weights import quantise_matrix
from spusim.network.records import Product


def matrix(seed: int, density: float = 0.6, shape: tuple[int, int] = (12, 40)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=shape) * (rng.random(shape) < density)
    weight[seed % shape[0]] = 0.0  # a row that was pruned whole
    return weight


def coded(weight: np.ndarray, form: str, per_channel: bool = False):  # type: ignore[no-untyped-def]
    return quantise_matrix(weight, None, form, per_channel, 2.0**-8, 2.0**-8)


def real(found) -> np.ndarray:  # type: ignore[no-untyped-def]
    return found.weight * (found.units * 2.0**8)[:, None]


@pytest.mark.parametrize("per_channel", [False, True])
def test_binary_is_the_sign_times_the_mean(per_channel: bool) -> None:
    weight = matrix(3)
    found = coded(weight, "binary", per_channel)
    assert found.bits == 1 and found.lost == 0
    assert found.weight.tolist() == np.sign(weight).tolist()
    for row, value in enumerate(real(found)):
        chosen = weight[row] if per_channel else weight
        if np.any(weight[row]):
            mean = np.abs(chosen[chosen != 0]).mean()
            assert np.abs(value[value != 0]) == pytest.approx(mean)


@pytest.mark.parametrize("per_channel", [False, True])
def test_ternary_drops_what_is_below_its_threshold(per_channel: bool) -> None:
    weight = matrix(4)
    found = coded(weight, "ternary", per_channel)
    assert found.bits == 2
    for row in range(len(weight)):
        chosen = np.abs(weight[row] if per_channel else weight)
        threshold = 0.7 * chosen[chosen > 0].mean() if chosen.any() else 0.0
        kept = np.abs(weight[row]) > threshold
        assert found.weight[row].tolist() == (np.sign(weight[row]) * kept).tolist()
        if kept.any():
            mean = chosen[chosen > threshold].mean()
            assert np.abs(real(found)[row][kept]) == pytest.approx(mean)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 500), form=st.sampled_from(("codebook", "codebook8")))
def test_N4_weights_share_the_nearest_of_at_most_sixteen(seed: int, form: str) -> None:
    weight = matrix(seed)
    found = coded(weight, form)
    book, largest = found.codebook, {"codebook": 32767, "codebook8": 127}[form]
    assert book[0] == 0 and len(book) <= 16 and len({*book}) == len(book)
    assert max(map(abs, book)) == largest
    assert set(np.unique(found.weight)) <= {*book}
    unit = found.units[0] * 2.0**8
    entries = np.array(book[1:])
    nonzero = (weight != 0) & (found.weight != 0)
    nearest = np.abs(weight[nonzero][:, None] - entries * unit).min(axis=1)
    ours = np.abs(weight[nonzero] - found.weight[nonzero] * unit)
    assert (ours <= nearest + unit).all()  # entries are rounded, their borders are not


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 500), per_channel=st.booleans(), form=st.sampled_from(WEIGHT_FORMATS))
def test_pruned_weights_stay_pruned(seed: int, per_channel: bool, form: str) -> None:
    weight = matrix(seed)
    found = coded(weight, form, per_channel)
    assert not found.weight[weight == 0].any()
    assert found.bits == STORED_BITS[form]
    assert np.isfinite(found.units).all() and (found.units > 0).all()


def test_more_bits_of_a_codebook_are_nearer() -> None:
    weight = matrix(7, density=1.0, shape=(40, 60))
    errors = [np.square(real(coded(weight, form)) - weight).sum()
              for form in ("binary", "ternary", "int4", "codebook", "int8", "int16")]  # fmt: skip
    assert errors == sorted(errors, reverse=True)


def test_means_are_those_of_lloyd_and_always_the_same() -> None:
    values = np.random.default_rng(5).normal(size=900)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        means = cluster_means(values, 15)
    assert means.tolist() == cluster_means(values[::-1].copy(), 15).tolist()
    borders = (means[1:] + means[:-1]) / 2
    owner = np.searchsorted(borders, values)
    again = np.array([values[owner == k].mean() for k in range(len(means))])
    assert again == pytest.approx(means, abs=0.01)  # a fixed point, nearly
    assert cluster_means(np.array([2.0, -1.0, 2.0]), 15).tolist() == [-1.0, 2.0]


def test_one_bit_stands_for_half_the_range() -> None:
    assert (quantum_for(4.0, 1).bits, quantum_for(4.0, 1).exponent) == (1, 1)
    assert quantum_for(0.0, 1).exponent == 0
    assert (quantum_for(4.0, 1).smallest, quantum_for(4.0, 1).largest) == (-1, 1)
    assert (quantum_for(4.0, 4).smallest, quantum_for(4.0, 4).largest) == (-8, 7)


@pytest.mark.parametrize("form", ["binary", "ternary", "codebook", "codebook8", "int4"])
def test_quantised_files_give_the_same_network_again(form: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    settings_ = (f"quantise.weights={form}",)
    quantised = spusim.quantize("kws", settings=settings_)
    path = tmp_path / "q.safetensors"
    path.write_bytes(quantised.to_bytes())
    again = spusim.load_network("kws", checkpoint=path)
    for one, other in zip(quantised.network.nodes, again.nodes, strict=True):
        if isinstance(one, Product):
            assert one.weight.tolist() == other.weight.tolist()
            assert (one.weight_bits, one.codebook) == (other.weight_bits, other.codebook)
            assert one.weight_bits == STORED_BITS[form]


def test_sqnr_grows_with_the_width() -> None:
    assert signal_to_noise_db(np.array([3.0, 4.0]), np.array([3.0, 3.5])) == pytest.approx(20.0)
    assert signal_to_noise_db(np.zeros(2), np.ones(2)) is None
    assert signal_to_noise_db(np.ones(2), np.ones(2)) is None
    path, found = find_network("kws"), []
    for form in ("binary", "int4", "int8"):
        topology = load_topology(path, (f"quantise.weights={form}",))
        network = spusim.load_network("kws", settings=(f"quantise.weights={form}",))
        stream = spusim.load_stream("kws", network)
        outputs = spusim.simulate(network, spusim.load_arch("bitmix"), stream).outputs
        wanted = float_outputs(path, topology, None, network, stream)
        found.append(signal_to_noise_db(wanted, outputs))
    assert found[0] < 4 < found[1] < 20 < 30 < found[2]
