"""Names of what a sweep leaves in its folder, and the version of their schema (docs/sweeps.md)."""

SCHEMA_VERSION = 1
SWEEP_NAME = "sweep.json"
TABLE_NAME = "results.parquet"
CSV_NAME = "results.csv"
POINTS_NAME = "points"
LOCK_NAME = ".lock"
