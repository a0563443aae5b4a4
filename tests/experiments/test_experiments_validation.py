"""`spusim validate`: published figures, ours, and what must hold."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spusim.cli.app import app
from spusim.experiments.tables import rendered
from spusim.experiments.validation.catalogue import STUDIES, ValidationError, run_studies
from spusim.experiments.validation.published import source_of
from spusim.experiments.validation.records import Row, Study
from spusim.experiments.validation.sheets import study_sheets, summary_sheets
from spusim.experiments.validation.write import record


@pytest.fixture(scope="session")
def studies(study: Callable[[str], Study]) -> dict[str, Study]:
    """Return every study."""
    return {name: study(name) for name in STUDIES}


def figures(study: Study) -> dict[str, float]:
    """Return ours by row."""
    return {row.name: row.ours for row in study.rows}


def test_every_study_has_its_name_a_source_and_holds(studies: dict[str, Study]) -> None:
    for name, study in studies.items():
        assert study.name == name
        assert study.chart.name == name
        assert len(study.source) > 40
        assert study.holds, [row for row in study.rows if row.holds is False]


def test_the_undoubted_layers_of_eie_are_within_ten_per_cent(studies: dict[str, Study]) -> None:
    rows = {row.name: row for row in studies["eie_latency"].rows}
    asked = {name for name, row in rows.items() if row.within == 0.10}
    assert asked == {"Alex-6", "Alex-7", "VGG-7", "VGG-8", "NT-Wd"}
    assert all(abs(rows[name].error or 0) <= 0.10 for name in asked)


def test_a_corrected_density_brings_a_doubtful_layer_nearer(studies: dict[str, Study]) -> None:
    rows = {row.name: row for row in studies["eie_latency"].rows}
    for name in ("Alex-8", "VGG-6", "NT-We"):
        plain, corrected = rows[name], rows[f"{name} corrected"]
        assert plain.error is not None and corrected.error is not None
        assert abs(corrected.error) < abs(plain.error)


def test_about_half_the_pes_idle_at_depth_one_and_few_at_eight(studies: dict[str, Study]) -> None:
    ours = figures(studies["eie_queue_depth"])
    assert 0.4 < ours["idle at depth 1, mean"] < 0.65
    # NT-We alone, with nine rows a PE, is out of balance at any depth, as published
    (panel,) = studies["eie_queue_depth"].chart.panels
    at_eight = {
        line.label: dict(zip(line.x, line.y, strict=True)).get(8.0) for line in panel.series
    }
    unbalanced = {name for name, idle in at_eight.items() if idle is not None and idle >= 15}
    assert unbalanced == {"NT-We"}
    assert ours["faster at 256 than at 8, mean"] < 0.05


def test_shares_of_power_sum_to_the_whole(studies: dict[str, Study]) -> None:
    rows = studies["eie_power"].rows
    ours = sum(row.ours for row in rows if "pointer banks" not in row.name)
    said = sum(row.published or 0 for row in rows if "pointer banks" not in row.name)
    assert ours == pytest.approx(100)
    assert said == pytest.approx(100)
    assert figures(studies["eie_power"])["weight memory"] == max(
        row.ours for row in rows if row.name in ("weight memory", "arithmetic", "activations")
    )


def test_memory_latency_and_energy_follow_the_promise(studies: dict[str, Study]) -> None:
    ours = figures(studies["spu001_promise"])
    claims = {"memory / weight density": 0.999, "energy / product of densities": 0.99}
    for what, least in claims.items():
        assert ours[f"{what}: R2"] > least
        assert ours[f"{what}: slope"] == pytest.approx(1, abs=0.05)
    assert 0 < ours["energy: floor of overheads"] < ours["latency: floor of overheads"] < 0.5


def test_smartskip_holds_at_every_point_and_grows_with_channels(studies: dict[str, Study]) -> None:
    rows = studies["smartskip_figure"].rows
    asked = [row for row in rows if row.within == 0.05]
    assert [row.name for row in asked] == [f"reduction {n}" for n in range(2, 11)]
    assert all(row.holds for row in asked)
    by_channels = [row for row in rows if "channels" in row.name]
    assert [row.name.split()[-2] for row in by_channels] == ["64", "128", "256", "512"]
    # each must be above the one before
    assert [row.above for row in by_channels[1:]] == [row.ours for row in by_channels[:-1]]


def test_resnet50_says_what_is_fitted_and_shows_random_masks(studies: dict[str, Study]) -> None:
    rows = {row.name: row for row in studies["resnet50_gains"].rows}
    assert rows["pruned_70: gain"].note.startswith("fitted")
    assert rows["pruned_83: gain"].note.startswith("not fitted on, but seen")
    assert (rows["pruned_70: gain"].within, rows["pruned_83: gain"].within) == (0.05, 0.10)
    for name in ("pruned_70", "pruned_83"):
        gain, plain = rows[f"{name}: gain"], rows[f"{name}: gain, random masks"]
        assert gain.ours < plain.ours < rows[f"{name}: ideal"].ours
        assert plain.holds is None


def test_all_studies_are_one_table_in_the_end(studies: dict[str, Study]) -> None:
    told = rendered(summary_sheets(list(studies.values()))).splitlines()
    for study in studies.values():
        first = told.index(study.name)
        published = [row for row in study.rows if row.published is not None]
        assert published and told[first + 1].split()[0] == study.rows[0].name.split()[0]
    asked = [row for study in studies.values() for row in study.rows if row.holds is not None]
    assert len(asked) > 15
    assert f"{len(asked)} of the {len(asked)} figures that must hold do" in told
    assert max(map(len, told)) <= 100


def test_a_figure_without_a_published_one_can_be_asked_to_be_above_another() -> None:
    low, high = Row("a", "x", None, 2.0, above=2.0), Row("b", "x", None, 2.1, above=2.0)
    assert (low.holds, high.holds) == (False, True)
    told = rendered(study_sheets(Study("s", "t", "from", "tiny", (low,), (), None)))  # type: ignore[arg-type]
    assert "NO (above 2)" in told


def test_a_row_that_must_hold_and_does_not_is_told(studies: dict[str, Study]) -> None:
    rows = (Row("a", "us", 10.0, 12.0, 0.1), Row("b", "us", None, 1.0), Row("c", "", 2.0, 2.1, 0.1))
    assert [row.holds for row in rows] == [False, None, True]
    assert rows[0].error == pytest.approx(0.2)
    some = studies["spu001_promise"].chart
    study = Study("s", "t", "published somewhere", "tiny", rows, ("why",), some)
    assert not study.holds
    assert record([study])["holds"] is False
    told = rendered(study_sheets(study))
    assert "NO (within 10%)" in told and "+20.0 %" in told and "why" in told


def test_an_unknown_name_is_refused_before_anything_runs() -> None:
    with pytest.raises(ValidationError, match=r"eei.*eie_latency"):
        list(run_studies(["spu001_promise", "eei"]))


def test_the_command_writes_figures_and_the_same_json_twice(tmp_path: Path) -> None:
    texts = []
    for folder in ("a", "b"):
        run = CliRunner().invoke(
            app, ["validate", "spu001_promise", "--json", "-o", str(tmp_path / folder)]
        )
        assert run.exit_code == 0, run.output
        texts.append((tmp_path / folder / "validation.json").read_bytes())
    assert texts[0] == texts[1]
    told = json.loads(texts[0])
    assert told["studies"]["spu001_promise"]["holds"] is True
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert names == {"validation.json", *(f"spu001_promise.{k}" for k in ("png", "svg", "csv"))}


def test_published_tables_name_their_source() -> None:
    for name in ("eie_latency", "eie_unit_power", "eie_queue_depth"):
        assert "ISCA 2016" in source_of(name)
    assert "Femtosense" in source_of("spu001_promise")
