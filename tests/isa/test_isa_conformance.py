"""The conformance programs that ship: all pass, and between them they use all that there is."""

import typing
from collections.abc import Callable, Iterator
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from spusim import golden
from spusim.arch import Arch
from spusim.arch.spec import Precision
from spusim.experiments.conformance import (
    ConformanceCase,
    check_program,
    load_conformance,
    program_paths,
    run_case,
)
from spusim.experiments.poison import pattern, poisoned_accumulators
from spusim.formats import FORMATS
from spusim.golden.meaning import MEANING
from spusim.isa import load_isa
from spusim.kernels.chip import Q, R
from spusim.kernels.layout import S
from spusim.program import ACTIVATION_BITS, OUTPUT_BITS, TABLE_NONE, TABLE_RELU

ISA = load_isa()
PATHS = {path.stem: path for path in program_paths()}
# what programs cannot show, and why
NOT_COVERED = {
    ("core.sparse.format", "auto"): "the compiler's choice; programs name each matrix's format",
    ("core.sparse.format", "run_length"): "as above",
    ("core.layer_weight_bits", 1): "what `spusim layer` takes by default",
    ("core.layer_weight_bits", 2): "as above",
    ("core.layer_weight_bits", 4): "as above",
    ("core.layer_weight_bits", 16): "as above",
    ("core.layer_activation_bits", 1): "as above",
    ("core.layer_activation_bits", 4): "as above",
    ("core.layer_activation_bits", 8): "as above",
}


@cache
def cases() -> dict[str, ConformanceCase]:
    return {case.name: case for case in load_conformance()}


@pytest.mark.parametrize("name", PATHS)
def test_golden_machine_and_golden_file_agree(name: str) -> None:
    outcome = check_program(PATHS[name])
    assert (outcome.verdict, outcome.error, outcome.changes) == ("pass", None, ())


@pytest.mark.parametrize("name", PATHS)
def test_a_program_says_first_what_it_proves(name: str) -> None:
    first, *_ = PATHS[name].read_text(encoding="utf-8").splitlines()
    assert first.startswith("; ") and len(first) > 20


# --- coverage, from what is executed


@cache
def executed() -> tuple[tuple[str, dict[str, int], ConformanceCase, int], ...]:
    """Every instruction that golden executes: mnemonic, operands, program, core."""
    seen: list[tuple[str, dict[str, int], ConformanceCase, int]] = []
    current: list[ConformanceCase] = []

    def noting(mnemonic: str, meaning: Callable[..., None]) -> Callable[..., None]:
        def run(t: Any, o: dict[str, int]) -> None:
            seen.append((mnemonic, dict(o), current[-1], t.number))
            meaning(t, o)

        return run

    with pytest.MonkeyPatch.context() as patch:
        for mnemonic, meaning in MEANING.items():
            patch.setitem(MEANING, mnemonic, noting(mnemonic, meaning))
        for case in cases().values():
            current.append(case)
            golden.run(case.program, case.frames, case.starts)
    return tuple(seen)


def test_every_instruction_is_executed() -> None:
    assert {mnemonic for mnemonic, *_ in executed()} == set(ISA.instructions)


def test_every_value_of_every_enumeration_is_executed() -> None:
    for spec in ISA.instructions.values():
        for field in (f for f in spec.operands if f.kind.names):
            found = {o[field.name] for mnemonic, o, *_ in executed() if mnemonic == spec.mnemonic}
            assert found == set(range(len(field.kind.names))), (spec.mnemonic, field.name)


def test_every_shift_is_executed_at_both_limits_and_between() -> None:
    for name in ("sa", "sb", "sd"):
        found = {o[name] for mnemonic, o, *_ in executed() if mnemonic == "vset"}
        assert {-30, -1, 0, 1, 62} <= found, name


def test_every_format_is_multiplied_from_the_bias_and_going_on() -> None:
    products = ("spmv", "spmva", "dmv", "dmva")
    found = {
        (case.program.cores[core].matrices[o["m"]].packed.layout.format, mnemonic.endswith("a"))
        for mnemonic, o, case, core in executed()
        if mnemonic in products
    }
    assert set(FORMATS) == set(ISA.kinds["format"].names)
    assert found == {(form, more) for form in FORMATS for more in (False, True)}


def test_every_kind_of_table_is_looked_up() -> None:
    found = set()
    for mnemonic, o, case, core in executed():
        if "table" in o:
            number, tables = o["table"], case.program.cores[core].tables
            names = {TABLE_NONE: "none", TABLE_RELU: "relu"}
            how = names.get(number) or ("plain", "interpolated")[tables[number].interpolate]
            found.add((mnemonic, how))
    kinds = ("none", "relu", "plain", "interpolated")
    assert found == {(op, kind) for op in ("vqs", "vqm", "vqc", "vlut", "conv") for kind in kinds}


def test_every_value_of_a_window_is_executed() -> None:
    """In windows of convolutions or poolings, and each layout and output width in both."""
    fields = {f.name: f.kind.names for f in ISA.records["window"].fields if f.kind.names}
    found: dict[str, set[tuple[str, int]]] = {}
    for mnemonic, o, case, core in executed():
        if "w" in o:
            window = case.program.cores[core].windows[o["w"]]
            for name in (*fields, "counted", "output_bits", "activation_bits"):
                found.setdefault(name, set()).add((mnemonic, getattr(window, name)))
    for name, names in fields.items():
        assert {value for _, value in found[name]} == set(range(len(names))), name
    assert {value for _, value in found["counted"]} == {0, 1}
    assert found["layout"] == {(op, layout) for op in ("conv", "pool") for layout in (0, 1)}
    assert {value for op, value in found["output_bits"] if op == "conv"} == set(OUTPUT_BITS)
    assert {value for _, value in found["activation_bits"]} == set(ACTIVATION_BITS)


def test_every_precision_is_multiplied() -> None:
    kinds = {event for case in cases().values() for event, n in case.record["counts"].items() if n}
    assert {e.removeprefix("mac.") for e in kinds if e.startswith("mac.")} == set(
        typing.get_args(Precision)
    )


def choices(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield every setting of an architecture that is a choice between words or widths."""
    for name, field in model.model_fields.items():
        hints = (field.annotation, *typing.get_args(field.annotation))
        for hint in hints:
            if isinstance(hint, type) and issubclass(hint, BaseModel):
                yield from choices(hint, f"{path}{name}.")
            elif typing.get_origin(hint) is typing.Literal and not _listed(field.annotation):
                yield f"{path}{name}", typing.get_args(hint)


def _listed(hint: Any) -> bool:
    return typing.get_origin(hint) in (tuple, dict)


def setting(arch: Arch, path: str) -> Any:
    """Return a setting by its path; None in a part that the architecture does not have."""
    here: Any = arch
    for name in path.split("."):
        here = getattr(here, name, None)
    return here


def test_every_choice_of_an_architecture_is_run() -> None:
    missing = set()
    for path, values in choices(Arch):
        used = {setting(case.arch, path) for case in cases().values()}
        missing |= {(path, value) for value in values if value not in used}
    assert missing == set(NOT_COVERED)


def test_every_cause_of_every_unit_occurs() -> None:
    """None is left out, but what units of another kind would say."""
    found: dict[str, set[str]] = {}
    for case in cases().values():
        for unit, causes in case.record["stalls"].items():
            kind = unit.rpartition(".")[2].rstrip("0123456789")
            found.setdefault(kind, set()).update(name for name, n in causes.items() if n)

    def names(causes: type[IntEnum]) -> set[str]:
        return {cause.name.lower() for cause in causes} - {"count"}

    assert found["sequencer"] == names(Q)
    assert found["router"] == names(R) | {"idle"}
    assert found["pe"] | found["scanner"] == names(S) | {"idle"}
    assert found["dma"] == {"busy", "idle", "channel", "latency"}
    assert found["vector"] == {"busy", "idle", "port"}
    assert found["bank"] == {"busy", "idle", "held"}
    assert found["out"] == {"busy", "idle", "blocked"}


def test_contexts_cores_and_periods_differ() -> None:
    made = cases().values()
    assert {case.arch.cores for case in made} == {1, 2, 3}
    assert {case.arch.core.pes for case in made} == {1, 2, 8}
    assert {case.arch.core.sequencer.contexts for case in made} == {1, 2, 4}
    assert {bool(case.input_period) for case in made} == {True, False}
    assert {len(case.starts) > 1 for case in made} == {True, False}


# --- poison


def test_poison_depends_on_place_and_core() -> None:
    one, other = pattern(0, 512, 8), pattern(1, 512, 8)
    assert (one != other).all()
    assert len({bytes(word) for word in one}) > 256
    rows = poisoned_accumulators(cases()["send_multicast"].program)
    assert len({int(value) for core in rows for value in core}) == sum(map(len, rows))
    bits = cases()["accumulator_24_wrap"].program
    assert all(np.abs(core).max() < 1 << 23 for core in poisoned_accumulators(bits))


@pytest.mark.parametrize("name", PATHS)
def test_no_program_reads_accumulators_that_it_never_wrote(name: str) -> None:
    # so that whoever starts them at something else gets the same outputs
    case = cases()[name]
    outputs = golden.run(case.program, case.frames, case.starts).outputs
    assert outputs.tolist() == case.record["outputs"]


def test_another_word_or_accumulator_is_another_signature() -> None:
    case = cases()["vfill"]
    signature = run_case(case)[0]["signature"]
    (image,) = case.program.cores
    words = image.segments[0].words
    words[-1, -1] ^= 1
    try:
        assert run_case(case)[0]["signature"] != signature
    finally:
        words[-1, -1] ^= 1
    assert run_case(case)[0]["signature"] == signature
