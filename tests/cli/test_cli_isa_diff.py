"""`spusim isa diff`, `check` and `freeze` as they are typed."""

import json
import re

import pytest

from spusim.isa import load_isa
from spusim.resources import shipped

TABLE = """\
version 0.1 draft
word 64
kind int unsigned
a 0x01 vector x:int@0+8 "Do a."
b 0x02 vector "Do | b."
"""


@pytest.fixture
def tables(folder):
    """The working folder with old.isa, and new ones that break more and more."""
    (folder / "old.isa").write_text(TABLE)
    (folder / "more.isa").write_text(TABLE + 'c 0x03 vector "C."\n')
    (folder / "unit.isa").write_text(TABLE.replace("0x02 vector", "0x02 router"))
    (folder / "moved.isa").write_text(TABLE.replace("b 0x02", "b 0x03"))
    return folder


@pytest.mark.parametrize(
    "new, code",
    [("old.isa", 0), ("more.isa", 0), ("unit.isa", 3), ("moved.isa", 4), ("0.9", 4)],
)
def test_exit_codes(tables, spusim, new, code):
    result = spusim("isa", "diff", "old.isa", new)
    assert result.exit_code == code
    assert f"outcome {code}: " in result.stdout
    assert json.loads(spusim("isa", "diff", "old.isa", new, "--json").stdout)["exit_code"] == code


def test_json_is_one_object_with_the_reasons(tables, spusim):
    record = json.loads(spusim("isa", "diff", "old.isa", "moved.isa", "--json").stdout)
    assert record["schema_version"] == 1
    assert record["a"] == record["b"] | {"name": "old.isa", "hash": record["a"]["hash"]}
    assert record["encodings"] == {
        "changes": [
            {
                "subject": "instruction b",
                "kind": "opcode moved",
                "before": "0x02",
                "after": "0x03",
                "binaries": "the opcode was 0x02, is 0x03",
                "assembly": "",
                "words": "the opcode was 0x02, is 0x03",
                "time": "",
            }
        ],
        "old_binaries": {
            "kept": False,
            "reasons": ["instruction b: the opcode was 0x02, is 0x03"],
        },
        "old_assembly": {
            "kept": False,
            "assembles": True,
            "reasons": ["instruction b: the opcode was 0x02, is 0x03"],
        },
    }
    assert record["conformance"] is None and record["not_compared"] is None


def test_markdown_is_a_table_that_a_bar_does_not_break(tables, spusim):
    (tables / "prose.isa").write_text(TABLE.replace("Do | b.", "Do | b *well*."))
    text = spusim("isa", "diff", "old.isa", "prose.isa", "--markdown").stdout
    assert text.startswith("### ISA 0.1 draft of old.isa against 0.1 draft of prose.isa\n")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[1] == "| --- | --- | --- | --- | --- |"
    assert rows[2] == "| instruction b | meaning | Do \\| b. | Do \\| b \\*well\\*. | - |"
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}


@pytest.mark.parametrize("form", [(), ("--json",), ("--markdown",)])
def test_output_holds_what_would_be_printed(tables, spusim, form):
    printed = spusim("isa", "diff", "old.isa", "moved.isa", *form)
    written = spusim("isa", "diff", "old.isa", "moved.isa", *form, "-o", "diff.txt")
    assert (written.exit_code, written.stdout) == (4, "written: diff.txt\n")
    assert (tables / "diff.txt").read_text() == printed.stdout


def test_two_forms_at_once_are_a_usage_error(tables, spusim):
    assert spusim("isa", "diff", "old.isa", "more.isa", "--json", "--markdown").exit_code == 2


def test_unknown_sides(tables, refused):
    assert "none.isa: cannot be read" in refused("isa", "diff", "none.isa", "0.9")
    assert "lies in no git repository" in refused("isa", "diff", "0.9", "HEAD")
    (tables / "bad.isa").write_text("version 0.1 final\n")
    assert "bad.isa:1: state 'final'" in refused("isa", "diff", "0.9", "bad.isa")


def test_the_draft_that_ships_has_a_version_too(tables, spusim):
    draft = load_isa().version
    said = spusim("isa", "diff", "0.9", draft, "--json")
    assert json.loads(said.stdout)["b"]["version"] == draft
    assert said.exit_code == json.loads(said.stdout)["exit_code"] == 4


# check and freeze


def test_freeze_without_a_table_leaves_what_ships_alone(tables, refused):
    assert "isa/spu.isa: cannot be read" in refused("isa", "freeze")


def test_check_tells_the_frozen_versions(spusim):
    facts = spusim("isa", "check").stdout.splitlines()
    assert facts[-2].startswith("frozen: 0.9, sha256 ")
    assert facts[-1].startswith("0.10 after 0.9: ")


def test_freezing_then_changing_without_moving_the_version_is_refused(tables, spusim, refused):
    said = spusim("isa", "freeze", "old.isa")
    assert (said.exit_code, said.stdout) == (0, "frozen: 0.1, frozen/0.1.isa\n")
    assert "0.1 is as it was frozen" in spusim("isa", "check", "old.isa").stdout
    assert "already" in refused("isa", "freeze", "old.isa")
    table = tables / "old.isa"
    table.write_text(table.read_text().replace("b 0x02", "b 0x03"))
    said = refused("isa", "check", "old.isa")
    assert "version 0.1 is frozen and may not change" in said
    assert "instruction b: opcode moved" in said
    table.write_text(table.read_text().replace("0.1 frozen", "0.2 draft"))
    assert spusim("isa", "check", "old.isa").exit_code == 0


def test_freeze_writes_all_or_leaves_what_freezing_again_ends(tables, spusim, refused):
    (tables / "frozen").write_text("a file in the way")
    assert "frozen" in refused("isa", "freeze", "old.isa")
    assert (tables / "old.isa").read_text() == TABLE


def test_what_ships_is_not_frozen_by_a_check():
    assert [p.name for p in (shipped("isa") / "frozen").iterdir() if p.suffix != ".isa"] == [
        "HASHES"
    ]
