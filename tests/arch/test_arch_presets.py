import re
import typing
from pathlib import Path

import pytest

from spusim.arch import list_archs, load_arch
from spusim.arch.format_rules import FORMAT_PRESETS
from spusim.arch.spec import FormatName
from spusim.resources import shipped

PRESETS = Path(shipped("configs")) / "arch"
VALUE_LINE = re.compile(r"^\s*([\w]+):\s+\S")
LABELS = {"name", "description", "base"}  # what a file is called is no fact about hardware


def test_presets_are_shipped():
    assert list_archs() == [
        "bitmix", "eie64", "micronpu", "n2m4", "row64", "row64_lpddr4", "smartskip", "spu001",
        "spu001_dense", "tiny",
    ]  # fmt: skip


@pytest.mark.parametrize("name", list_archs())
def test_every_value_of_a_preset_says_where_it_comes_from(name):
    lines = (PRESETS / f"{name}.yaml").read_text().splitlines()
    assert lines[0] == "# yaml-language-server: $schema=arch.schema.json"
    values = [
        line
        for line in lines
        if (m := VALUE_LINE.match(line))
        and m.group(1) not in LABELS
        and not line.split(":", 1)[1].strip().startswith("#")
    ]
    assert values
    unmarked = [
        line for line in values if not re.search(r"\S  # (public|published|assumed): \w", line)
    ]
    assert unmarked == []


@pytest.mark.parametrize("name", list_archs())
def test_preset_is_named_after_its_file(name):
    assert load_arch(name).name == name


def test_spu001_has_the_public_figures():
    arch = load_arch("spu001")
    core = arch.core
    assert (arch.cores, arch.clock_mhz, arch.technology) == (2, 150, "cacti22")
    memory = core.data_memory
    assert (memory.banks, memory.words, memory.word_bits) == (8, 8192, 64)
    assert memory.banks * memory.words * memory.word_bits // 8192 == 512  # KiB a core
    tables = core.table_memory
    assert (tables.banks, tables.words, tables.word_bits, tables.ports) == (4, 2048, 16, 2)
    assert core.instruction_memory.words == 4096
    assert (core.sequencer.threads, core.sequencer.ready_queue) == (64, 64)
    assert core.precisions == {"8x16": 1, "8x8": 1, "4x8": 2}
    assert (core.sparse.format, core.sparse.pencil) == ("pencil", 8)
    assert arch.numerics.table_address_bits == 8


@pytest.mark.parametrize("form", typing.get_args(FormatName))
def test_a_preset_named_for_a_format_has_it(form):
    assert form in load_arch(FORMAT_PRESETS[form]).core.sparse.formats


@pytest.mark.parametrize(("name", "own"), [("micronpu", "block"), ("n2m4", "n_of_m")])
def test_study_machines_differ_from_spu001_in_structure_alone(name, own):
    study, spu001 = load_arch(name), load_arch("spu001")
    assert (study.core.sparse.format, study.core.sparse.formats) == ("auto", ("dense", own))
    assert (study.core.sparse.weights, study.core.sparse.activations) == ("skip", "dense")
    core = study.core.model_copy(update={"sparse": spu001.core.sparse})
    labels = {"name": "spu001", "description": spu001.description}
    assert study.model_copy(update={"core": core, **labels}) == spu001


def test_spu001_dense_differs_only_in_what_it_exploits():
    sparse, dense = load_arch("spu001"), load_arch("spu001_dense")
    assert (dense.core.sparse.weights, dense.core.sparse.activations) == ("dense", "dense")
    same = sparse.core.sparse.model_copy(
        update={"weights": "dense", "activations": "dense", "format": "dense"}
    )
    assert dense.core == sparse.core.model_copy(update={"sparse": same})
    assert (dense.numerics, dense.link, dense.cores) == (sparse.numerics, sparse.link, 2)


def test_eie64_holds_vgg6_pointers_and_eight_entries_a_word():
    core = load_arch("eie64").core
    pointers = 25088 + 1
    assert core.index_memory.words * core.index_memory.word_bits >= pointers * 16
    assert core.weight_memory.word_bits // (core.sparse.index_bits + core.layer_weight_bits) == 8
    assert core.weight_memory.words * core.weight_memory.word_bits == 128 * 8192
    assert (core.pes, core.lanes, core.queue.depth, core.queue.release) == (64, 1, 8, "done")


def test_row64_holds_a_dense_2048_by_2048_matrix_with_bitmap_and_pointers():
    core = load_arch("row64").core
    rows = 2048 // core.pes
    assert core.weight_memory.words * core.weight_memory.word_bits >= rows * 2048 * 8
    index_bits = rows * 2048 + 2049 * core.sparse.pointer_bits
    assert core.index_memory.words * core.index_memory.word_bits >= index_bits
    assert 2**core.sparse.pointer_bits > rows * 2048
