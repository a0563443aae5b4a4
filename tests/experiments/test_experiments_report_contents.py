"""What a report holds: units and sums of its columns, and data that cannot become HTML."""

import dataclasses
import json

import polars as pl
import pytest
from report_folders import EVIL, made_up_sweep

from spusim.experiments.charts.source import open_results
from spusim.experiments.report.breakdown import PALETTE, energy_terms, stall_causes
from spusim.experiments.report.columns import report_columns
from spusim.experiments.report.contents import report_contents, summary
from spusim.experiments.report.page import report_page


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return open_results(made_up_sweep(tmp_path_factory.mktemp("few") / "s", most=40, failing=9))


@pytest.fixture(scope="module")
def columns(results):
    return {column["name"]: column for column in report_columns(results)}


def test_values_are_those_of_the_table(results, columns):
    for name in results.table.columns:
        values = results.table[name].to_list()
        assert columns[name]["values"] == values if any(v is not None for v in values) else True
    assert columns["energy_j_frame_mean"]["unit"] == "J"
    assert columns["energy_j_frame_mean"]["shown_unit"] == "nJ"
    assert columns["energy_j_frame_mean"]["factor"] == pytest.approx(1e9)
    assert columns["stall.pe.busy"]["unit"] == "cycles"
    assert columns["memory_used_bytes"]["unit"] == "B"
    assert columns["weight_density"]["unit"] == "share"


def test_terms_add_up_to_the_energy_of_a_frame(results, columns):
    terms = [columns[name] for name in energy_terms(list(columns.values()))["columns"]]
    drawn = results.table.filter(pl.col("status") == "done")
    parts = [c for c in drawn.columns if c.startswith("energy_pj.") and c != "energy_pj.total"]
    for n, row in zip(drawn["point"], drawn.iter_rows(named=True), strict=True):
        whole = sum(row[name] or 0.0 for name in parts) * 1e-12 / row["frames"]
        assert sum(term["values"][n] for term in terms) == pytest.approx(whole)


def test_sparsity_is_what_density_leaves(results, columns):
    found = zip(columns["weight_sparsity"]["values"], results.table["weight_density"], strict=True)
    assert all(s == pytest.approx(100 * (1 - d)) for s, d in found if d is not None)


def test_colours_tell_the_parts_of_a_bar_apart(columns):
    parts = [energy_terms(list(columns.values())), *stall_causes(list(columns.values())).values()]
    assert len(parts) >= 4
    for part in parts:
        assert len(set(part["colours"])) == len(part["columns"]) == len(part["names"])
        assert set(part["colours"]) <= set(PALETTE)


def test_points_that_share_a_memory_share_its_names(results):
    contents = report_contents(results)
    done = [p for p in contents["points"] if "memory" in p]
    assert len(done) == 36
    assert len({tuple(p["memory"][:3]) for p in done}) == 1
    record = results.record(results.table["key"][0])
    banks = record["memory"]["banks"]
    names, capacities, _, used = done[0]["memory"]
    assert contents["pool"][names] == list(banks)
    assert contents["pool"][capacities] == [bank["capacity_words"] for bank in banks.values()]
    assert used == [bank["used_words"] for bank in banks.values()]


def test_summary_counts(results):
    assert summary(results).counts == "40 points: 36 done, 4 failed"


def test_data_cannot_become_html(results):
    """The page has the tags of its template, and no others."""
    page = report_page(results)
    plain = dataclasses.replace(results, description="plain", table=results.table.with_columns(
        network=pl.lit("plain"), error=pl.lit("plain")))  # fmt: skip
    same = report_page(plain)
    for tag in ("<script", "</script", "<img"):
        assert page.count(tag) - same.count(tag) == 0, tag
    data = page.partition('id="data">')[2].partition("</script>")[0]
    networks = next(c for c in json.loads(data)["columns"] if c["name"] == "network")
    assert networks["values"][0] == EVIL
    assert "<" not in data


def test_numbers_that_browsers_round_are_texts(results):
    table = results.table.with_columns(seed=pl.lit(2**60 + 1), power_w=pl.lit(float("inf")))
    big = dataclasses.replace(results, table=table)
    found = {column["name"]: column for column in report_columns(big)}
    assert found["seed"]["values"][0] == str(2**60 + 1)
    assert found["power_w"]["values"][0] == "inf"
