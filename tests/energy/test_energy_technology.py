import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.arch import load_arch
from spusim.energy import TechnologyError, list_technologies, load_technology
from spusim.energy.costs import price
from spusim.energy.surface import Surface

# copied from CACTI's and Aladdin's output: (table, row's first two columns) -> the others
SPOT_CHECKS = {
    ("cacti45", "sram", 64, 64): (209046, 25.87, 19.65, 1.67),
    ("cacti45", "sram", 1, 8): (3295, 1.359, 1.773, 0.03538),
    ("cacti22", "sram", 64, 64): (58601, 5.67, 4.427, 9.77),
    ("cacti22", "sram", 512, 128): (428971, 25.05, 20.23, 69.41),
    ("cacti45", "mac", 16, 32): (2726.5, 3.89, 25.78),
    ("cacti22", "mac", 8, 32): (247.3, 0.3393, 2.505),
}


@pytest.mark.parametrize(("place", "figures"), SPOT_CHECKS.items())
def test_tables_hold_the_published_rows(place, figures):
    name, table, first, second = place
    rows = getattr(load_technology(name), table).rows
    assert [row[2:] for row in rows if row[:2] == (first, second)] == [figures]


def test_tables_are_shipped_whole():
    assert list_technologies() == ["cacti22", "cacti45", "horowitz45"]
    for name in ("cacti22", "cacti45"):
        table = load_technology(name)
        assert (len(table.sram.rows), len(table.mac.rows)) == (50, 20)


def test_horowitz_has_the_textbooks_energies():
    table = load_technology("horowitz45")
    reads = {row[:2]: row[3] for row in table.sram.rows}
    assert reads[8, 32] == 5  # 32-bit SRAM cache
    assert 32 * table.registers.access_pj_per_bit.value == 1  # 32-bit register file
    assert 32 * table.logic.add_pj_per_bit.value == pytest.approx(0.1)
    assert table.logic.multiply_pj.value == 3.1
    macs = {row[:2]: row[3] for row in table.mac.rows}
    assert macs[32, 32] == pytest.approx(3.1 + 0.1)


def test_22_nm_figures_follow_their_scaling_rules():
    old, new = load_technology("cacti45"), load_technology("cacti22")
    energy, area = 1.144 / 3.89, 683.5 / 2726.5
    for section, figure, ratio in [
        ("registers", "access_pj_per_bit", energy),
        ("registers", "area_um2_per_bit", area),
        ("logic", "add_pj_per_bit", energy),
        ("logic", "add_area_um2_per_bit", area),
        ("logic", "multiply_pj", energy),
        ("logic", "multiply_area_um2", area),
        ("clock", "pj_per_um2", energy / area),
    ]:
        before, after = (getattr(getattr(t, section), figure).value for t in (old, new))
        assert after == pytest.approx(before * ratio, rel=1e-3), figure
    assert new.logic.leakage_uw_per_um2.value == pytest.approx(7.581 / 683.5, rel=1e-3)
    eie_clock_pj, eie_logic_um2 = 1.874 / 0.8, 9465 + 8946
    assert old.clock.pj_per_um2.value == pytest.approx(eie_clock_pj / eie_logic_um2, rel=1e-3)


def sram(name="cacti45", column=3):
    return Surface.over(load_technology(name).sram.rows, column, logarithmic=True)


SURFACE = sram()


def test_interpolation_is_log_log_in_capacity_and_width():
    read = sram()
    assert read.at(64, 64) == pytest.approx(25.87)
    between = math.sqrt(25.87 * 32.29)  # 64 and 128 KiB at 64 bit
    assert read.at(64 * math.sqrt(2), 64) == pytest.approx(between)
    assert read.at(64, 64 * math.sqrt(2)) == pytest.approx(math.sqrt(25.87 * 39.33))


def test_beyond_the_table_the_last_slope_goes_on():
    read = sram()
    assert read.covers(512, 128) and not read.covers(513, 64) and not read.covers(64, 256)
    assert read.at(1024, 64) == pytest.approx(68.35 * 68.35 / 44.72)
    assert read.at(64, 256) == pytest.approx(39.33 * 39.33 / 25.87)


@given(st.floats(1, 512), st.floats(8, 128))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_interpolation_stays_between_its_four_corners(kibibytes, width):
    surface = SURFACE
    i = min(int(math.log2(kibibytes)), 8)
    j = min(int(math.log2(width)) - 3, 3)
    corners = surface.z[i : i + 2, j : j + 2]
    value = surface.at(kibibytes, width)
    assert corners.min() * (1 - 1e-9) <= value <= corners.max() * (1 + 1e-9)


def test_mac_is_linear_in_partial_products_and_accumulator_bits():
    events = price(load_arch("tiny"), load_technology("cacti45")).events
    assert events["mac.8x8"] == ("mac", pytest.approx(1.154))
    assert events["mac.16x16"] == ("mac", pytest.approx(3.89))
    assert events["mac.4x16"] == events["mac.8x8"]
    assert events["mac.8x16"] == ("mac", pytest.approx(1.154 + (3.89 - 1.154) / 3))
    assert events["mac.16x8"] == events["mac.8x16"]
    arch = load_arch("tiny", ["numerics.accumulator_bits=36"])
    events = price(arch, load_technology("cacti45")).events
    assert events["mac.8x8"] == ("mac", pytest.approx((1.154 + 1.214) / 2))


def extrapolated(setting):
    prices = price(load_arch("spu001", [setting]), load_technology("cacti22"))
    return [note for note in prices.notes if "extrapolated" in note]


def test_extrapolation_is_said_once_for_each_memory_and_precision():
    assert extrapolated("core.data_memory.banks=8") == []
    assert extrapolated("core.index_memory.word_bits=256") == [
        "index_memory of 16 KiB x 256 bit lies beyond the sram table of cacti22 (1 to 512, 8 to "
        "128): extrapolated",
    ]
    said = extrapolated("numerics.accumulator_bits=48")
    assert [note.partition(" lies")[0] for note in said] == [
        f"a MAC of {precision} bits into 48" for precision in ("8x16", "8x8", "4x8")
    ]


def refused(tmp_path, text):
    path = tmp_path / "t.yaml"
    path.write_text(text)
    with pytest.raises(TechnologyError) as caught:
        load_technology(path)
    return str(caught.value).replace(str(path), "t.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("base: cacti22\nnode: 5\n", "t.yaml:2: node is not a known key; did you mean node_nm?"),
        ("base: cacti22\nnode_nm: -5\n", "t.yaml:2: node_nm (=-5) must be more than 0"),
        ("base: cacti22\nwire:\n  pj_per_bit_mm: 3\n", "t.yaml:3: wire.pj_per_bit_mm (=3) must be "
         "a mapping"),
        ("base: cacti22\nwire:\n  pj_per_bit_mm:\n    value: x\n", "t.yaml:4: wire.pj_per_bit_mm."
         "value (=x) must be a number"),
        ("base: cacti22\nmac:\n  rows: [[8, 16, 1, 1, 1], [8, 32, 1, 1, 1]]\n", "t.yaml:2: mac "
         "must have two values on each axis"),
        ("base: cacti22\nmac:\n  rows: [[8, 16, 1, 1, 1], [8, 32, 1, 1, 1], [4, 16, 1, 1, 1]]\n",
         "t.yaml:2: mac must be a full grid; add a row for (4.0, 32.0)"),
        ("base: cacti22\nmac:\n  rows:\n    - [8, 16, 1, 1]\n", "t.yaml:4: mac.rows.0.4 is"),
        ("base: cacti2\n", "t.yaml:1: base: cacti2: no technology table of that name; did"),
        ("", "t.yaml:1: is empty"),
    ],
)  # fmt: skip
def test_a_bad_table_is_named_with_line_and_remedy(tmp_path, text, said):
    assert refused(tmp_path, text).startswith(said)


def test_unknown_table_names_the_nearest():
    with pytest.raises(TechnologyError, match="cacti20: no technology table of that name; did you"):
        load_technology("cacti20")


@pytest.mark.parametrize("name", list_technologies())
def test_every_figure_has_its_source(name):
    table = load_technology(name)
    assert table.sram.source and table.mac.source
    sections = (table.registers, table.logic, table.clock, table.wire, table.link)
    figures = [getattr(s, field) for s in sections for field in type(s).model_fields]
    assert len(figures) == 11
    assert all(len(figure.source) > 20 for figure in figures)
