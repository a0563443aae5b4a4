"""The shipped table keeps to its frozen versions, and every way of not doing so is refused."""

import hashlib

import pytest

from spusim.isa import (
    IsaError,
    check_beside,
    diff_tables,
    load_isa,
    plan_freeze,
    read_isa,
    shipped_versions,
)
from spusim.isa.versions import check_versions, frozen_tables
from spusim.resources import shipped

# A frozen table never changes. A line is added here when a version is frozen; none is edited.
FROZEN = {"0.9": "b0849c91d0747bdbd656177e951c4d86d0debacb8ccd06b60e0433a5d97d1f4f"}

TABLE = """\
version {version} {state}
word 64
kind int unsigned
kind width 8,16,32
a 0x01 vector x:int@0+4 w:width@4+2 "Do a."
b 0x02 vector x:int@8+8 "Do b."
record r words=1 f:int@0+8 "An r."
"""
COMPATIBLE = {
    "prose": ("Do b.", "Do b well."),
    "addition": ("b 0x02", 'c 0x03 vector "C."\nb 0x02'),
    "wider operand": ("x:int@8+8", "x:int@8+9"),
    "wider field": ("f:int@0+8", "f:int@0+9"),
    "enumerator": ("8,16,32", "8,16,32,4"),
}  # fmt: skip
BREAKING = {
    "re-encoded": ("b 0x02", "b 0x03"),
    "removed": ('b 0x02 vector x:int@8+8 "Do b."\n', ""),
    "mnemonic renamed": ("b 0x02", "bee 0x02"),
    "operand renamed": ("x:int@8+8", "y:int@8+8"),
    "operand narrower": ("x:int@8+8", "x:int@8+7"),
    "operand moved": ("x:int@8+8", "x:int@9+8"),
    "operand added": ("x:int@8+8", "x:int@8+8 y:int@16+1"),
    "record narrower": ("f:int@0+8", "f:int@0+7"),
    "record longer": ("words=1", "words=2"),
    "enumerators": ("8,16,32", "16,8,32"),
}


@pytest.fixture
def folder(tmp_path):
    """A folder for a table `spu.isa`."""
    (tmp_path / "frozen").mkdir()
    return tmp_path


def text(version: str, state: str = "draft", change: tuple[str, str] = ("", "")) -> str:
    whole = TABLE.format(version=version, state=state)
    assert change[0] in whole
    return whole.replace(*change, 1) if change[0] else whole


def put_frozen(folder, version: str, change: tuple[str, str] = ("", "")) -> None:
    data = text(version, "frozen", change).encode()
    (folder / "frozen" / f"{version}.isa").write_bytes(data)
    with (folder / "frozen" / "HASHES").open("a") as file:
        file.write(f"{hashlib.sha256(data).hexdigest()}  {version}.isa\n")


def put(folder, content: str):
    table = folder / "spu.isa"
    table.write_text(content)
    return table


def refusal(table) -> str:
    with pytest.raises(IsaError) as error:
        check_beside(table)
    return str(error.value)


# what ships


def test_frozen_files_are_what_they_were():
    folder = shipped("isa") / "frozen"
    found = {p.stem: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.isa")}
    assert found == FROZEN
    lines = [f"{digest}  {version}.isa" for version, digest in FROZEN.items()]
    assert (folder / "HASHES").read_text().splitlines() == lines
    assert [*shipped_versions()] == [*FROZEN]


def test_shipped_table_keeps_to_the_rules():
    facts = check_beside(shipped("isa") / "spu.isa")
    assert facts[0] == f"frozen: 0.9, sha256 {shipped_versions()['0.9'].hash}"
    assert load_isa().release > shipped_versions()["0.9"].release


SPU_CHANGES = {
    "re-encoded": ("vadd  0x24", "vadd  0x60"),
    "removed": ('nop   0x00 sequencer "Do nothing for one cycle."\n', ""),
    "operand renamed": ("post  0x02 sequencer core:", "post  0x02 sequencer to:"),
    "operand narrower": ("src:address@20+16", "src:address@20+15"),
    "record changed": ("group:int@27+8", "group:int@27+7"),
    "prose": ("Do nothing for one cycle.", "Do nothing at all."),
    "state": ("0.9 frozen", "0.9 draft"),
}


@pytest.mark.parametrize("change", SPU_CHANGES.values(), ids=SPU_CHANGES.keys())
def test_a_changed_frozen_table_passes_only_under_another_version(change):
    frozen = shipped_versions()
    kept = (shipped("isa") / "frozen/0.9.isa").read_text()
    assert change[0] in kept
    changed = kept.replace(*change, 1)
    assert check_versions(read_isa(kept, "t"), frozen)[-1] == "0.9 is as it was frozen"
    with pytest.raises(IsaError, match=r"version 0\.9 is frozen and may not change"):
        check_versions(read_isa(changed, "t"), frozen)
    moved = changed.replace("version 0.9", "version 0.10")
    assert check_versions(read_isa(moved, "t"), frozen)[-1].startswith("0.10 after 0.9: ")


# versions


def test_versions_compare_as_numbers():
    releases = [read_isa(text(v), "t").release for v in ("0.9", "0.10", "1.0", "1.2", "1.10")]
    assert releases == sorted(releases)


@pytest.mark.parametrize("version", ["1", "0.09", "00.9", "1.0.0", "1.", ".1", "0.9a", "-1.0"])
def test_version_is_major_and_minor(version):
    with pytest.raises(IsaError, match=r"some\.isa:1: version .* must be MAJOR\.MINOR"):
        read_isa(text(version), "some.isa")


def test_a_table_alone_has_nothing_to_keep(tmp_path):
    assert check_beside(put(tmp_path, text("0.1"))) == []


def test_the_same_version_must_be_equal(folder):
    put_frozen(folder, "1.0")
    assert check_beside(put(folder, text("1.0", "frozen")))[-1] == "1.0 is as it was frozen"
    layout = text("1.0", "frozen").replace("word 64\n", "# why\n\nword   64\n")
    assert check_beside(put(folder, layout))
    said = refusal(put(folder, text("1.0", "draft")))
    assert "the state is draft, not frozen" in said
    assert "give the table the next version, as `version 1.1 draft`" in said


@pytest.mark.parametrize("change", [*BREAKING.values(), *COMPATIBLE.values()])
def test_no_change_is_allowed_under_a_frozen_version(folder, change):
    put_frozen(folder, "1.0")
    assert "may not change" in refusal(put(folder, text("1.0", "frozen", change)))


@pytest.mark.parametrize("change", BREAKING.values(), ids=BREAKING.keys())
def test_a_breaking_change_needs_another_major_from_1_on(folder, change):
    put_frozen(folder, "1.0")
    said = refusal(put(folder, text("1.1", "draft", change)))
    assert "version 1.1 breaks the frozen 1.0" in said
    assert said.endswith("take the change back, or go to version 2.0")
    put(folder, text("2.0", "draft", change))
    assert "not compatible, which another major may" in check_beside(folder / "spu.isa")[-1]


@pytest.mark.parametrize("change", BREAKING.values(), ids=BREAKING.keys())
def test_major_0_may_break_with_another_minor(folder, change):
    put_frozen(folder, "0.9")
    put(folder, text("0.10", "draft", change))
    assert "not compatible, which is allowed before 1.0" in check_beside(folder / "spu.isa")[-1]


@pytest.mark.parametrize("change", COMPATIBLE.values(), ids=COMPATIBLE.keys())
def test_a_compatible_change_passes_within_a_major(folder, change):
    put_frozen(folder, "1.0")
    put(folder, text("1.1", "draft", change))
    assert check_beside(folder / "spu.isa")[-1].startswith("1.1 after 1.0: ")
    assert check_beside(folder / "spu.isa")[-1].endswith(", compatible")


def test_every_frozen_version_of_the_major_counts_not_only_the_newest(folder):
    put_frozen(folder, "1.0", ("x:int@8+8", "x:int@8+8 y:int@16+1"))
    put_frozen(folder, "1.1")
    assert "version 1.1 breaks the frozen 1.0" in refusal(put(folder, text("1.2")))


@pytest.mark.parametrize("version", ["0.8", "0.1"])
def test_going_back_is_refused(folder, version):
    put_frozen(folder, "0.9")
    said = refusal(put(folder, text(version)))
    assert f"version {version} comes before 0.9, which is frozen" in said
    assert "as 0.10" in said


# the folder


def test_an_edited_frozen_file_is_refused(folder):
    put_frozen(folder, "0.9")
    path = folder / "frozen/0.9.isa"
    path.write_text(path.read_text() + "# a comment\n")
    said = refusal(put(folder, text("0.10")))
    assert "0.9.isa: has changed since it was frozen" in said


def test_frozen_files_and_hashes_belong_together(folder):
    put_frozen(folder, "0.9")
    table = put(folder, text("0.10"))
    (folder / "frozen/0.8.isa").write_text(text("0.8", "frozen"))
    assert "0.8.isa: is not in HASHES" in refusal(table)
    (folder / "frozen/0.8.isa").unlink()
    (folder / "frozen/0.9.isa").unlink()
    assert "0.9.isa is missing from the folder" in refusal(table)
    (folder / "frozen/HASHES").unlink()
    assert "HASHES: cannot be read" in refusal(table)


@pytest.mark.parametrize("line", ["abc  0.9.isa", "", f"{'0' * 64} 0.9.isa", f"{'0' * 64}  ../x"])
def test_a_malformed_hash_is_refused_with_its_line(folder, line):
    put_frozen(folder, "0.9")
    with (folder / "frozen/HASHES").open("a") as file:
        file.write(f"{line}\n")
    assert "HASHES:2: must be a sha256" in refusal(put(folder, text("0.10")))


def test_a_frozen_file_is_what_its_name_says(folder):
    put_frozen(folder, "0.9")
    (folder / "frozen/0.9.isa").rename(folder / "frozen/0.8.isa")
    hashes = (folder / "frozen/HASHES").read_text()
    (folder / "frozen/HASHES").write_text(hashes.replace("0.9.isa", "0.8.isa"))
    assert "says version 0.9 frozen" in refusal(put(folder, text("0.10")))


# freezing


def freeze(table) -> str:
    frozen = plan_freeze(table)
    for path, content in frozen.files:
        path.write_bytes(content)
    return frozen.version


def test_freezing_copies_records_and_closes_the_draft(folder):
    table = put(folder, "# ours: version 0.9 draft\n" + text("0.9"))
    assert freeze(table) == "0.9"
    assert load_isa(table) == frozen_tables(folder / "frozen")["0.9"]
    assert load_isa(table).state == "frozen"
    assert table.read_text().startswith("# ours: version 0.9 draft\nversion 0.9 frozen\n")
    assert table.read_bytes() == (folder / "frozen/0.9.isa").read_bytes()
    assert check_beside(table)[-1] == "0.9 is as it was frozen"
    with pytest.raises(IsaError, match=r"`version 0.10 draft`"):
        plan_freeze(table)


def test_the_next_draft_can_be_frozen_beside_the_last(folder):
    freeze(put(folder, text("0.9")))
    freeze(put(folder, text("0.10", change=COMPATIBLE["addition"])))
    assert [*frozen_tables(folder / "frozen")] == ["0.9", "0.10"]


@pytest.mark.parametrize("done", [1, 2])
def test_an_interrupted_freeze_is_ended_by_another(folder, done):
    table = put(folder, text("0.9"))
    for path, content in plan_freeze(table).files[:done]:
        path.write_bytes(content)
    assert freeze(table) == "0.9"
    assert check_beside(table)[-1] == "0.9 is as it was frozen"


def test_freezing_what_breaks_a_rule_is_refused(folder):
    put_frozen(folder, "1.0")
    with pytest.raises(IsaError, match=r"breaks the frozen 1.0"):
        plan_freeze(put(folder, text("1.1", change=BREAKING["removed"])))
    with pytest.raises(IsaError, match=r"comes before 1.0"):
        plan_freeze(put(folder, text("0.9")))
    with pytest.raises(IsaError, match=r"version 1.0 is frozen already, with other content"):
        plan_freeze(put(folder, text("1.0", change=COMPATIBLE["addition"])))


def test_planted_changes_are_what_they_claim():
    for change in COMPATIBLE.values():
        assert diff_tables(
            read_isa(text("1.0"), "t"), read_isa(text("1.0", change=change), "t")
        ).compatible
    for change in BREAKING.values():
        assert not diff_tables(
            read_isa(text("1.0"), "t"), read_isa(text("1.0", change=change), "t")
        ).compatible
