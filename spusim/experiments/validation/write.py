"""Studies as JSON and files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import spusim
from spusim.experiments.store import write_files
from spusim.experiments.validation.records import Study

RECORD_NAME = "validation.json"
SCHEMA_VERSION = 1


def record(studies: Sequence[Study]) -> dict[str, Any]:
    """Return studies as one JSON object, the same for the same figures."""
    return {
        "schema_version": SCHEMA_VERSION,
        "versions": {"spusim": spusim.__version__},
        "holds": all(study.holds for study in studies),
        "studies": {study.name: study.record() for study in studies},
    }


def write_studies(studies: Sequence[Study], folder: Path) -> list[Path]:
    """Write validation.json and each study's figure (PNG, SVG, CSV). Raises OutputError."""
    # matplotlib takes long to import, and only drawing needs it
    from spusim.experiments.figures.draw import chart_files

    files = {name: data for study in studies for name, data in chart_files(study.chart).items()}
    text = json.dumps(record(studies), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return write_files(folder, {**files, RECORD_NAME: text.encode()}, last=RECORD_NAME)
