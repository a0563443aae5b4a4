"""The conformance programs' products on the RTL, with the operands that they really had."""

import pytest
import tally
from generators import packed
from parameter_sets import CHOICES, ParameterSet
from rtl_compare import SPARE_CYCLES, check_equal, step_placed
from rtl_conformance import MOST_WORD_BITS, Product, conformance_products, decodes, has_modes
from rtl_engine import RtlEngine
from rtl_machine import check_machine

from spusim.experiments.conformance import load_conformance
from spusim.formats import FORMATS
from spusim.isa import decode_all, load_isa

PRODUCTS = conformance_products()
# formats that the RTL's decoder does not have; stepper, machine and golden compare them
NOT_IN_RTL = {"block", "n_of_m"}


def same_image(product: Product) -> bool:
    """Tell whether the RTL's memories get the very words of the program's image."""
    one, other = packed(product.placed.case), product.matrix.packed
    return all(
        [a.tolist() for a in mine] == [b.tolist() for b in theirs]
        for mine, theirs in ((one.slices, other.slices), (one.indices, other.indices))
    )


@pytest.mark.parametrize("number", range(len(PRODUCTS)))
def test_products_of_conformance_programs(number: int, verilator: None) -> None:
    parameter_set, products = [*PRODUCTS.items()][number]
    engine = RtlEngine(parameter_set)
    for product in products:
        check(engine, parameter_set, product)
    engine.close()


def check(engine: RtlEngine, parameter_set: ParameterSet, product: Product) -> None:
    """Compare an instruction on RTL, stepper and machine, and with the whole program's run."""
    assert same_image(product), product.program
    placed = product.placed
    expected = step_placed(placed)
    assert (expected.cycles, expected.outputs) == (product.cycles, product.outputs)
    most_cycles = expected.cycles + SPARE_CYCLES
    rtl = engine.run(placed.case, placed.slice_base, placed.taken(), most_cycles)
    check_equal(parameter_set, product.program, expected, rtl)
    check_machine(placed, rtl.result)
    tally.compared("products of conformance programs", rtl.result.cycles)


def test_formats_that_the_rtl_lacks_are_named() -> None:
    assert set(FORMATS) - set(CHOICES["format"]) == NOT_IN_RTL


def test_every_program_with_a_matrix_is_among_them() -> None:
    found = {product.program for products in PRODUCTS.values() for product in products}
    isa = load_isa()
    wide = set()
    for case in load_conformance():
        code = [i for image in case.program.cores for i in decode_all(isa, image.code)]
        multiplies = any(i.unit == "engine" and i.mnemonic != "conv" for i in code)
        if multiplies and case.name not in found:
            matrices = [matrix for image in case.program.cores for matrix in image.matrices]
            beyond = {m.packed.layout.format for m in matrices} <= NOT_IN_RTL
            if beyond or not any(map(decodes, matrices)) or not has_modes(case):
                continue
            own = case.arch.core.weight_memory or case.arch.core.data_memory
            assert max(own.word_bits, case.program.word_bits) > MOST_WORD_BITS, case.name
            wide.add(case.name)
        assert multiplies or case.name not in found, case.name
    assert len(wide) <= 4 < len(found)
    contended = [p for products in PRODUCTS.values() for p in products if any(p.placed.taken())]
    assert contended  # with banks that other units of the program took
