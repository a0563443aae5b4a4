"""docs/verification.md and the Makefile say of the comparisons what is true."""

import rooms
import tally
from plant import load_plan

TEXT = (rooms.TESTS.parent / "docs" / "verification.md").read_text(encoding="utf-8")
MAKEFILE = (rooms.TESTS.parent / "Makefile").read_text(encoding="utf-8")


def test_every_comparison_is_in_the_table_and_explained() -> None:
    for kind, implementations in tally.IMPLEMENTATIONS.items():
        lines = [line.split("  ") for line in TEXT.splitlines() if line.startswith(f"    {kind}  ")]
        assert lines, kind
        assert any(implementations in " ".join(parts) for parts in lines)
        assert kind in TEXT.partition("| compared |")[2]


def test_counts_of_faults_and_targets_are_real() -> None:
    assert f"plants {len(load_plan())} faults" in TEXT
    for target in ("verify", "soak", "mutants"):
        assert f"make {target}" in TEXT
        assert f"\n{target}: $(SETUP)\n" in MAKEFILE
    folders = next(line for line in MAKEFILE.splitlines() if line.startswith("AGREEMENT := "))
    for folder in folders.partition(":= ")[2].split():
        assert (rooms.TESTS.parent / folder).is_dir()
