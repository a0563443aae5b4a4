import pytest

from spusim.arch import ArchError, check_arch, list_archs, load_arch
from spusim.arch.manual import describe_rules
from spusim.arch.rules import RULES, broken_rules

# rule -> the preset and settings that break it, and what the message must say
BREAKERS = {
    "pes_divide_banks": ("spu001", ["core.pes=6"], "try 4 or 8"),
    "resident_index": ("spu001", ["core.index_memory.mode=resident"], "to preload"),
    "format_understood": ("spu001", ["core.sparse.format=run_length"], "try dense, add run_l"),
    "formats_once": ("spu001", ["core.sparse.formats=[pencil, pencil]"], "write [pencil]"),
    "dense_format": (
        "spu001", ["core.sparse.formats=[pencil]", "core.sparse.weights=dense"], "add dense",
    ),
    "pencil_rows": ("spu001", ["core.accumulators=7"], "try 7 rows"),
    "product_fits": ("spu001", ["numerics.accumulator_bits=23"], "try 24, or drop 8x16"),
    "partial_sums_fit": (
        "spu001", ["numerics.partial_sums={every: 8, shift: 4, bits: 30}"], "try bits 28",
    ),
    "layer_precision": ("spu001", ["core.layer_weight_bits=4"], "from that list"),
    "data_addresses": ("spu001", ["core.data_memory.words=8193"], "try 8192 words a bank"),
    "table_addresses": ("spu001", ["core.table_memory.words=16385"], "try 16384 words"),
    "block_rows": ("tiny", ["core.accumulators=4", "core.sparse.block.rows=5"], "try 4 rows"),
    "group_rows": ("tiny", ["core.accumulators=4", "core.sparse.n_of_m.group=5"], "try 4 rows"),
    "kept_of_group": ("n2m4", ["core.sparse.n_of_m.kept=5"], "(=4), of which it keeps them; try 2"),
    "table_fits": ("tiny", ["numerics.table_address_bits=10"], "try 9 address bits, or 1025"),
    "accumulator_addresses": ("spu001", ["core.accumulators=131073"], "try 131072 accumulators"),
    "codebook_registers": ("bitmix", ["core.decoder.codebooks=0"], "try 16, or drop"),
    "codebook_entries": ("bitmix", ["core.table_memory.word_bits=8"], "try 16, or codebooks of 8"),
    "window_in_buffer": ("spu001", ["core.scanner.width=2049"], "try 513 words"),
    "pixel_engine": ("spu001", ["core.dataflow=pixel"], "core.dataflow to row"),
    "external_bandwidth": (
        "tiny",
        ["external_memory={words: 64, bytes_per_cycle: 0.12345678, latency_cycles: 9}"],
        "try 0.123457",
    ),
    "external_ports": (
        "tiny",
        [
            "external_memory={words: 64, bytes_per_cycle: 8, latency_cycles: 9}",
            "core.ports=shared",
        ],
        "set core.ports to reserved",
    ),
    "feeder_banks": ("row64", ["core.feeder.words=64", "core.data_memory.banks=32"], "try 32"),
    "pixel_accumulators": ("row64", ["core.dataflow=pixel", "core.accumulators=7"], "try 8"),
    "window_in_banks": ("row64", ["core.scanner.width=257"], "try 65 banks"),
}  # fmt: skip


def test_every_rule_has_a_breaker():
    assert set(BREAKERS) == {rule.name for rule in RULES}


@pytest.mark.parametrize("name", BREAKERS)
def test_rule_refuses_with_its_remedy(name):
    preset, sets, said = BREAKERS[name]
    with pytest.raises(ArchError) as caught:
        load_arch(preset, sets)
    rule = next(rule for rule in RULES if rule.name == name)
    told = str(caught.value)
    assert said in told
    assert any(field.split(".")[-1] in told for field in rule.fields)
    assert told.splitlines()[0].startswith("--set ")
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("preset", "sets"),
    [
        ("spu001", ["core.pes=4"]),
        ("row64", ["core.pes=6"]),  # private weight memories
        ("spu001_dense", ["core.index_memory.mode=resident"]),
        ("spu001", ["core.sparse.format=auto"]),
        ("spu001", ["core.sparse.weights=dense"]),
        ("spu001", ["core.accumulators=8"]),
        ("spu001", ["numerics.accumulator_bits=24"]),
        ("spu001", ["core.scanner.width=2048"]),
        ("row64", ["core.scanner.width=256"]),
        ("tiny", ["numerics.table_address_bits=10", "numerics.table_interpolate=false"]),
        ("spu001", ["core.accumulators=131072"]),
        ("tiny", ["core.accumulators=4", "core.sparse.block.rows=4"]),
        ("n2m4", ["core.sparse.n_of_m.kept=4"]),
        ("n2m4", ["core.accumulators=4"]),
    ],
)
def test_the_last_legal_value_passes(preset, sets):
    assert broken_rules(load_arch(preset, sets)) == []


def test_window_that_straddles_words_counts_them_all():
    # 3 x 16 bit windows start at bits 0, 48, 96, ...: the second lies in words 0 and 1
    with pytest.raises(ArchError, match=r"window of core\.scanner\.width"):
        load_arch("tiny", ["core.scanner.width=3", "core.scanner.buffer_words=1"])
    load_arch("tiny", ["core.scanner.width=4", "core.scanner.buffer_words=1"])


def test_a_format_that_a_decoder_lacks_names_a_preset_that_has_it():
    for form, preset in (("block", "micronpu"), ("n_of_m", "n2m4"), ("run_length", "eie64")):
        with pytest.raises(ArchError, match=f"add {form} to the formats, or take preset {preset}"):
            load_arch("spu001", [f"core.sparse.format={form}"])


def test_check_arch_judges_architectures_made_in_python():
    arch = load_arch("spu001")
    assert check_arch(arch) is arch
    broken = arch.model_copy(update={"core": arch.core.model_copy(update={"pes": 6})})
    with pytest.raises(ArchError, match=r"spu001: core\.pes \(=6\) must divide .*; try 4 or 8"):
        check_arch(broken)


def test_presets_obey_all_rules():
    assert all(broken_rules(load_arch(name)) == [] for name in list_archs())


def test_rules_are_described_for_the_manual():
    table = describe_rules().splitlines()
    assert len(table) == 2 + len(RULES)
    assert all(f"| {rule.name} |" in line for rule, line in zip(RULES, table[2:], strict=True))
    names = {rule.name: rule.fields for rule in RULES}
    known = {path for path in _paths()}
    assert {field for fields in names.values() for field in fields} <= known


def _paths():
    from spusim.arch.spec import Arch
    from spusim.arch.validate import leaves

    return [path for path, _ in leaves(Arch)]
