"""Published figures as shipped: `configs/published/*.csv`, whose first lines name the source."""

from functools import cache
from pathlib import Path

import polars as pl

from spusim.resources import shipped


def published(name: str) -> pl.DataFrame:
    """Return a shipped table of published figures."""
    return pl.read_csv(published_path(name), comment_prefix="#")


def published_path(name: str) -> Path:
    """Return where a table of published figures is."""
    return shipped("configs") / "published" / f"{name}.csv"


@cache
def source_of(name: str) -> str:
    """Return the first lines of a published table, which say where it is from."""
    lines = published_path(name).read_text(encoding="utf-8").splitlines()
    told = " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))
    return told.removeprefix("source: ")
