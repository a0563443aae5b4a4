import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.arch import ArchError, arch_hash, list_archs, load_arch
from spusim.errors import SpusimError


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file in an empty working folder."""
    monkeypatch.chdir(tmp_path)

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return name

    return write


def message(name, *sets):
    with pytest.raises(ArchError) as caught:
        load_arch(name, sets)
    return str(caught.value)


def test_the_design_documents_example_of_an_error(write):
    lines = ["base: spu001", "core:", *["  # space"] * 11, "  pes: 6"]
    assert message(write("configs/arch/x.yaml", "\n".join(lines))) == (
        "configs/arch/x.yaml:14: core.pes (=6) must divide core.data_memory.banks (=8), "
        "which are its weight banks; try 4 or 8"
    )


def test_rule_blames_the_value_that_was_set_last(write):
    write("x.yaml", "base: spu001\ncore:\n  data_memory:\n    banks: 6\n    words: 1024\n")
    assert message("x.yaml").startswith("x.yaml:4: core.pes (=8) must divide")
    assert message("x.yaml", "core.pes=4").startswith("--set core.pes=4: core.pes (=4) must")
    assert load_arch("x.yaml", ["core.pes=3"]).core.pes == 3


def test_error_in_a_base_names_the_bases_line(write):
    write("sub/parent.yaml", "base: spu001\ncore:\n  ports: sharde\n")
    write("child.yaml", "base: sub/parent.yaml\nclock_mhz: 100\n")
    assert message("child.yaml") == (
        "sub/parent.yaml:3: core.ports (=sharde) must be 'reserved' or 'shared'; "
        "did you mean shared?"
    )


def test_a_file_that_changed_or_moved_is_another(write):
    text = "base: spu001\ncore:\n  queue:\n    depth: 3\n"
    write("x.yaml", text)
    first = load_arch("x.yaml", ["core.pes=4"])
    write("x.yaml", text.replace("3", "5"))
    assert load_arch("x.yaml").core.queue.depth == 5
    write("x.yaml", text)
    assert load_arch("x.yaml").core.pes == load_arch("spu001").core.pes
    assert load_arch("x.yaml", ["core.pes=4"]) == first
    for name in ("one.yaml", "two.yaml"):
        write(name, text.replace("3", "0"))
        assert message(name).startswith(f"{name}:4: core.queue.depth (=0)")


def test_bases_chain_relative_to_their_files_and_merge_deeply(write):
    write("a/one.yaml", "base: ../two.yaml\ncore:\n  queue:\n    depth: 3\n")
    write("two.yaml", "base: spu001\ncore:\n  queue:\n    release: done\n    depth: 5\n  pes: 4\n")
    arch = load_arch("a/one.yaml")
    assert (arch.core.queue.depth, arch.core.queue.release, arch.core.pes) == (3, "done", 4)
    assert arch.core.lanes == load_arch("spu001").core.lanes
    assert (arch.name, arch.description) == ("one", "")


def test_a_path_object_is_as_good_as_a_string(write, tmp_path):
    write("x.yaml", "base: tiny\nname: mine\n")
    assert load_arch(tmp_path / "x.yaml").name == "mine"


@pytest.mark.parametrize("cycle", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_a_cycle_of_bases_is_refused(write, cycle):
    for name, base in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        write(f"{name}.yaml", f"base: {base}.yaml\n")
    way = " -> ".join(f"{name}.yaml" for name in [*cycle, "a"])
    assert f"{way} is a cycle; remove one" in message("a.yaml")


def test_null_takes_back_a_section_or_a_precision(write):
    write("x.yaml", "base: eie64\ncore:\n  weight_memory: null\n  queue: null\n"
          "  index_memory: {mode: preload}\n  precisions: {4x8: null}\n")  # fmt: skip
    core = load_arch("x.yaml").core
    assert core.weight_memory is None
    assert (core.queue.depth, core.queue.release) == (8, "pop")  # the spec's defaults
    assert set(core.precisions) == {"4x16", "8x16", "16x16", "8x8", "c16x16"}


def test_null_is_no_value_for_a_scalar(write):
    write("x.yaml", "base: spu001\ncore:\n  pes:\n")
    assert message("x.yaml") == ("x.yaml:3: core.pes has no value; give one, or leave the key out")


def test_settings_apply_in_order_and_take_flow_values():
    sets = ["core.queue={depth: 2, release: done}", "core.queue.depth=16", "core.ports=shared"]
    core = load_arch("spu001", sets).core
    assert (core.queue.depth, core.queue.release, core.ports) == (16, "done", "shared")
    assert load_arch("spu001", ["core.sparse.formats=[pencil]"]).core.sparse.formats == ("pencil",)


@given(st.integers(1, 65536), st.sampled_from(["pop", "done"]))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_settings_arrive(depth, release):
    sets = [f"core.queue.depth={depth}", f"core.queue.release={release}"]
    queue = load_arch("tiny", sets).core.queue
    assert (queue.depth, queue.release) == (depth, release)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("core.lane=8", "core.lane is not a known key; did you mean core.lanes?"),
        ("core.depth=8", "core.depth is not a known key; did you mean core.queue.depth?"),
        ("zzz=8", "zzz is not a known key; the keys here are clock_mhz, core, cores,"),
        ("core.queue.depth=0", "core.queue.depth (=0) must be at least 1; try 1"),
        ("cores=16", "cores (=16) must be at most 15; try 15"),
        ("core.pes=eight", "core.pes (=eight) must be a whole number; the default is 8"),
        ("core.pes=true", "core.pes (=true) must be a whole number; the default is 8"),
        ("core.pes=8.0", "core.pes (=8.0) must be a whole number; the default is 8"),
        ("clock_mhz=.inf", "clock_mhz (=inf) must be a finite number"),
        ("clock_mhz=0", "clock_mhz (=0) must be more than 0"),
        ("core=3", "core (=3) must be a mapping of keys to values"),
        ("core.sparse.formats=dense", "core.sparse.formats (=dense) must be a list"),
        ("core.sparse.formats=[dens]", "core.sparse.formats.0 (=dens) must be 'dense', 'bitmap', "
         "'run_length', 'pencil', 'block' or 'n_of_m'; did you mean dense?"),
        ("core.sparse.formats=[]", "core.sparse.formats (=[]) must not be empty"),
        ("core.precisions.8x9=1", "core.precisions.8x9 is not a known key: it must be '1x1'"),
        ("core.precisions=null", "core.precisions is missing; give it a value (MACs a lane does"),
        ("core.pes", "must look like key.key=value; try core.queue.depth=2"),
        ("core..pes=3", "must look like key.key=value; try core.queue.depth=2"),
        ("base=tiny", "base cannot be set; name the other architecture itself"),
        ("core.pes=[", "is not YAML"),
        ("core.pes=!!python/name:os.system x", "tag !!python/name:os.system: only plain values"),
    ],
)  # fmt: skip
def test_a_bad_setting_is_named_with_its_remedy(setting, said):
    told = message("spu001", setting)
    assert told.startswith(f"--set {setting}: {said}")
    assert "\n" not in told


def test_every_mistake_of_a_file_has_its_line(write):
    write("x.yaml", "base: spu001\ncores: 99\ncore:\n  lanes: 0\n  hazzard: stall\n")
    assert sorted(line.split(" ")[0] for line in message("x.yaml").splitlines()) == [
        "x.yaml:2:", "x.yaml:4:", "x.yaml:5:",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "x.yaml:1: is empty; write at least `base: bitmix`"),
        ("# nothing\n", "x.yaml:1: is empty"),
        ("- a\n- b\n", "x.yaml:1: must be a mapping of keys to values, not a list"),
        ("spu001", "x.yaml:1: must be a mapping of keys to values, not a single value"),
        ("base: tiny\ncore: [1\ncores: 2\n", "x.yaml:3: is not YAML: expected ',' or ']'"),
        ("base: tiny\n---\ncores: 2\n", "x.yaml:2: is not YAML: but found another document"),
        ("base: tiny\ncores: 1\ncores: 2\n", "x.yaml:3: duplicate key cores, first set at"),
        ("base: tiny\ncore: !!python/object:os.system {}\n", "x.yaml:2: tag !!python/object:os"),
        ("base: tiny\ncores: !mine 2\n", "x.yaml:2: tag !mine: only plain values"),
        ("base: tiny\ncores: &n 2\n", "x.yaml:2: anchor &n: anchors and aliases are not read;"),
        ("base: tiny\n? [a]\n: 2\n", "x.yaml:2: a key must be a plain word"),
        ("base: [tiny]\n", "x.yaml:1: base must be a preset's name or a path"),
        ("base: spu01\n", "x.yaml:1: base: spu01: no architecture of that name; did you"),
        ("base: no.yaml\n", "x.yaml:1: base: no.yaml: no such file; presets: bitmix, eie64"),
        ("cores: 1\n", "x.yaml:1: clock_mhz is missing"),
        ("base: tiny\ncores: \x01\n", "x.yaml:2: is not YAML: unacceptable character"),
        ("[" * 1000, "x.yaml:1: is nested too deeply"),
    ],
)  # fmt: skip
def test_a_malformed_file_gives_one_clear_error(write, text, said):
    write("x.yaml", text)
    assert message("x.yaml").startswith(said)


def test_missing_files_and_names_suggest_presets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message("spu01").startswith("spu01: no architecture of that name; did you mean spu001")
    assert message("nothing.yaml") == (
        f"nothing.yaml: no such file; presets: {', '.join(list_archs())}"
    )
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    assert message("binary.yaml") == "binary.yaml: is not UTF-8 text; save it as UTF-8"


def test_errors_are_spusim_errors():
    assert issubclass(ArchError, SpusimError)


def test_hash_depends_on_content_only(write):
    write("x.yaml", "base: spu001\nname: other\ndescription: words\nclock_mhz: 150.0\n")
    same, base = load_arch("x.yaml"), load_arch("spu001")
    assert arch_hash(same) == arch_hash(base)
    assert len(arch_hash(base)) == 64
    changed = {arch_hash(load_arch("spu001", [s])) for s in ("core.pes=4", "clock_mhz=149")}
    assert len(changed | {arch_hash(base)}) == 3


def test_a_folder_is_no_missing_file(tmp_path):
    (tmp_path / "mine.yaml").mkdir()
    with pytest.raises(ArchError, match=r"mine\.yaml: is a folder; name a file in it"):
        load_arch(str(tmp_path / "mine.yaml"))
