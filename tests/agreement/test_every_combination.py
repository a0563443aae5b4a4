"""Every combination that the tables of formats and arithmetic allow, on products of all kinds.

The tables are read from the product, so that a format, precision, rounding or overflow that is
added to one of them is either tested here or fails `test_every_pair_is_there`. Golden, machine and
the integer reference, which computes in Python's own integers, agree; skipping changes nothing.
"""

import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim import golden, machine
from spusim.arch import load_arch
from spusim.compiler import compile_network
from spusim.formats import FORMATS
from spusim.network import Head, Network, Product, Quantum, Requant, Tensor, check_network
from spusim.numerics.modes import Overflow, Rounding, numerics_of

sys.path.insert(0, str(Path(__file__).parent.parent / "network"))
from integer_reference import evaluate

PRECISIONS = tuple(load_arch("bitmix").core.precisions)
ROUNDINGS, OVERFLOWS = get_args(Rounding), get_args(Overflow)
SKIPPING = (("skip", "gate"), ("skip", "dense"))
WIDTHS = (33, 40, 48)  # of accumulators: 16 x 16 less a zero point has 33 bits
OUTPUTS = (1, 4, 8, 16, 32)
REQUANTS = ("shift", "tensor", "channel")
BASE = (
    "core.sparse.formats=[dense, bitmap, run_length, pencil, block, n_of_m]",
    "core.sparse.pencil=4", "core.sparse.block.columns=1",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """How a product is stored, computed and requantised.

    operand: symmetric, asymmetric (with a zero point), or found (its scale, in every frame).
    """

    precision: str
    form: str
    rounding: str
    overflow: str
    result: str
    width: int
    output: int
    requant: str
    operand: str
    zero_result: bool

    @property
    def weights(self) -> str:
        """The weight's side of the precision."""
        return self.precision.split("x")[0]

    @property
    def activation_bits(self) -> int:
        """Bits of what is multiplied."""
        return int(self.precision.split("x")[1])


def operands_of(precision: str) -> tuple[str, ...]:
    """Return what an operand of so many bits can be: one bit has no zero and no size."""
    one_bit = precision.endswith("x1")
    return ("symmetric",) if one_bit else ("symmetric", "asymmetric", "found")


def cases(precision: str) -> Iterator[Case]:
    """Yield two cases for each rounding and overflow; other tables are dealt out beside them."""
    modes = [*itertools.product(OVERFLOWS, ROUNDINGS)] * 2
    rng = np.random.default_rng(PRECISIONS.index(precision))

    def dealt(table: Sequence[Any]) -> list[Any]:
        places = rng.permutation(len(modes)) % len(table)
        return [table[place] for place in places]

    others = (
        tuple(FORMATS), OVERFLOWS, WIDTHS, OUTPUTS, REQUANTS, operands_of(precision), (False, True)
    )  # fmt: skip
    for (overflow, rounding), *rest in zip(modes, *map(dealt, others), strict=True):
        form, result, width, output, requant, operand, zero = rest
        zero = zero and output in (8, 16)
        yield Case(
            precision, form, rounding, overflow, result, width, output, requant, operand, zero
        )


def codebook_of(weights: str) -> tuple[int, ...]:
    """Return a codebook whose entries need the 8 or 16 bits that the precision says."""
    largest = {"c8": 120, "c16": 32000}.get(weights)
    return () if largest is None else (0, 7, -largest, 3, largest, -50)


def weight_of(case: Case, rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Return weights that the format can hold; where a binary one stores zeros, it has none."""
    book = codebook_of(case.weights)
    if book:
        values = rng.choice(book[1:], (rows, columns))
    else:
        bits = int(case.weights)
        limit = {1: 1, 2: 1}.get(bits, 2 ** (bits - 1) - 1)
        values = rng.integers(1, limit + 1, (rows, columns)) * rng.choice((-1, 1), (rows, columns))
    if case.form == "n_of_m":  # two of every four rows, which is all that it stores
        order = rng.permuted(np.tile(np.arange(4), (rows // 4, columns, 1)), axis=2)
        kept = (order < 2).swapaxes(1, 2).reshape(rows, columns)
    else:
        kept = np.repeat(rng.random((rows // 4, columns)) < 0.6, 4, axis=0)
    if case.form == "dense" and case.weights == "1":
        kept[:] = True
    return np.where(kept, values, 0).astype(np.int16)


def network_of(case: Case, seed: int, rows: int = 8, columns: int = 11) -> Network:
    """Return the network of one product."""
    rng = np.random.default_rng(seed)
    weight = weight_of(case, rng, rows, columns)
    bits = case.activation_bits
    held = {"found": 16}.get(case.operand, bits)
    zero = {"asymmetric": -(2 ** (bits - 1)) + (seed % 3)}.get(case.operand, 0)
    result = -(2 ** (case.output - 1)) + seed % 5 if case.zero_result else 0
    x = Tensor("input", columns, Quantum(held, 0, zero))
    made = Tensor("made", rows, Quantum(case.output, 0, result))
    multiplier, shift = requant_of(case, rng, rows)
    bias = rng.integers(-(2**20), 2**20, rows) if case.operand != "found" else None
    book = codebook_of(case.weights)
    stored = 4 if book else int(case.weights)
    node = Product(
        "fc", "fc", "input", weight, stored, bias, (Head(0, made, Requant(multiplier, shift)),),
        codebook=tuple(book), normalised_bits=bits if case.operand == "found" else 0,
    )  # fmt: skip
    if not result:
        return Network("net", x, (), (node,), "made")
    # what leaves is symmetric: another product reads what has a zero point
    eye = np.eye(rows, dtype=np.int16)
    one = Requant(np.ones(1, np.int64), np.zeros(1, np.int64))
    leaves = Head(0, Tensor("y", rows, Quantum(32, 0)), one)
    return Network(
        "net", x, (), (node, Product("end", "end", "made", eye, 4, None, (leaves,))), "y"
    )


def requant_of(case: Case, rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return multipliers and shifts that leave some results in the output's width, others not."""
    shift = max(0, 20 - case.output // 2)
    if case.requant == "shift":
        return np.ones(1, np.int64), np.array([shift])
    count = rows if case.requant == "channel" else 1
    return rng.integers(2**29, 2**31, count), np.full(count, shift + 10)


def frames_of(network: Network, seed: int) -> np.ndarray:
    """Return frames that lean on the ends, with elements that equal the zero point."""
    rng = np.random.default_rng(seed + 1)
    quantum = network.input.quantum
    shape = (3, network.input.size)
    if quantum.bits == 1:
        return rng.choice((-1, 1), shape)
    low, high = quantum.smallest, quantum.largest
    frames = rng.integers(low, high + 1, shape)
    frames = np.where(rng.random(shape) < 0.2, rng.choice((low, high), shape), frames)
    frames = np.where(rng.random(shape) < 0.4, quantum.zero_point, frames)
    frames[2] //= 8 if not quantum.zero_point else 1
    return frames


def assert_agree(case: Case, seed: int) -> None:
    """Compare golden and machine, skipping and not, with the reference."""
    network = network_of(case, seed)
    check_network(network)
    frames, found = frames_of(network, seed), set()
    how = (
        *BASE, f"core.sparse.format={case.form}", f"numerics.accumulator_bits={case.width}",
        f"numerics.overflow={case.overflow}", f"numerics.rounding={case.rounding}",
        f"numerics.seed={seed}", f"numerics.requantize_overflow={case.result}",
    )  # fmt: skip
    numerics = numerics_of(load_arch("bitmix", how).numerics)
    expected = evaluate(network, frames, (0, 2), numerics, None)
    for skipping in SKIPPING[seed % 2]:
        arch = load_arch("bitmix", (*how, f"core.sparse.activations={skipping}"))
        program = compile_network(network, arch)
        forms = {m.packed.layout.format for core in program.cores for m in core.matrices}
        assert case.form in forms
        held = golden.run(program, frames, (0, 2)).outputs
        np.testing.assert_array_equal(held, expected)
        made = machine.run(program, arch, frames, (0, 2)).outputs
        np.testing.assert_array_equal(made, expected)
        found.add(made.tobytes())
    assert len(found) == 1


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_in_every_mode(precision: str) -> None:
    for number, case in enumerate(cases(precision)):
        assert_agree(case, 100 * PRECISIONS.index(precision) + number)


def test_every_pair_is_there() -> None:
    """Each value of a table meets each of every other table; roundings and overflows in threes."""
    every = [case for precision in PRECISIONS for case in cases(precision)]
    tables = (
        PRECISIONS, tuple(FORMATS), ROUNDINGS, OVERFLOWS, OVERFLOWS, WIDTHS, OUTPUTS, REQUANTS,
        ("symmetric", "asymmetric", "found"),
    )  # fmt: skip
    for first, second in itertools.combinations(range(len(tables)), 2):
        seen = {(astuple(case)[first], astuple(case)[second]) for case in every}
        wanted = set(itertools.product(tables[first], tables[second]))
        if {first, second} == {0, len(tables) - 1}:
            wanted = {(p, o) for p, o in wanted if o in operands_of(p)}
        assert wanted <= seen, sorted(map(str, wanted - seen))
    threes = {(case.precision, case.rounding, case.overflow) for case in every}
    assert threes == set(itertools.product(PRECISIONS, ROUNDINGS, OVERFLOWS))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.sampled_from(PRECISIONS), st.sampled_from(list(FORMATS)), st.sampled_from(ROUNDINGS),
    st.sampled_from(OVERFLOWS), st.sampled_from(OVERFLOWS), st.sampled_from(WIDTHS),
    st.sampled_from(OUTPUTS), st.sampled_from(REQUANTS), st.integers(0, 2), st.booleans(),
    st.integers(0, 10**6),
)  # fmt: skip
def test_any_combination(
    precision, form, rounding, overflow, result, width, output, requant, operand, zero, seed
):
    """Beyond the pairs: whatever hypothesis puts together."""
    operands = operands_of(precision)
    case = Case(
        precision, form, rounding, overflow, result, width, output, requant,
        operands[operand % len(operands)], zero and output in (8, 16),
    )  # fmt: skip
    assert_agree(case, seed)
