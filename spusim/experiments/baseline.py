"""Baselines: a list of what to run (`regress.yaml`), and beside it each case's stored result."""

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML

from spusim.arch import list_archs
from spusim.arch.document import Entry, Reader
from spusim.arch.spec import Spec
from spusim.arch.validate import build
from spusim.errors import SpusimError, nearest
from spusim.experiments.differences import ToleranceError, Tolerances, read_tolerances
from spusim.experiments.measures import Record, check_record, read_json
from spusim.experiments.record import record_text
from spusim.experiments.runs import list_runs
from spusim.frontend import list_networks, list_streams
from spusim.resources import shipped

LIST_NAME = "regress.yaml"
BASELINE_VERSION = 1  # of the form of stored results
FIRST_FRAMES, FIRST_OUTPUTS = 4, 64  # of a stored result, for people
_HEADER = """\
# What `spusim regress` runs; each case's stored result lies beside this file as NAME.json.
# Renew them with `spusim regress FOLDER --record`, and read the difference before you commit it.
"""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_STREAM_KEY = re.compile(r"(.*\.(?:npz|safetensors)):([^:/\\]+)")


class BaselineError(SpusimError):
    """A baseline that cannot be used."""


class CaseEntry(Spec):
    """What a case of the list says; paths are relative to the list."""

    name: str = Field(default="", description="of the stored result; else the target's")
    target: str = Field(default="", description="what to run, as `spusim run` takes it")
    arch: str | None = Field(default=None, description="a preset or a file")
    network: str | None = Field(default=None, description="a shipped network or a network file")
    stream: str | None = Field(default=None, description="as --stream")
    set: tuple[str, ...] = Field(default=(), description="settings, as --set takes them")
    input_period: int | None = Field(default=None, ge=1, description="cycles between frames")
    tolerance: Any = Field(default=None, description="a share, or shares by group")


@dataclass(frozen=True)
class BaselineCase:
    """A run to repeat: its words as the list has them."""

    name: str
    target: str
    arch: str | None = None
    network: str | None = None
    stream: str | None = None
    settings: tuple[str, ...] = ()
    input_period: int | None = None
    tolerances: Tolerances = field(default_factory=Tolerances)

    @property
    def words(self) -> dict[str, Any]:
        """What determines the run, for the stored result."""
        words = {key: value for key, value in asdict(self).items() if value}
        return {key: value for key, value in words.items() if key not in ("name", "tolerances")}


@dataclass(frozen=True)
class Baseline:
    """A list of cases; `folder` holds it and the stored results."""

    path: Path
    cases: tuple[BaselineCase, ...] = ()
    description: str = ""

    @property
    def folder(self) -> Path:
        """Where the stored results are, and what paths of the list are relative to."""
        return self.path.parent

    def result_path(self, case: BaselineCase) -> Path:
        """Return the file of a case's stored result."""
        return self.folder / f"{case.name}.json"

    def located(self, case: BaselineCase) -> BaselineCase:
        """Return a case with its paths made good from the working folder."""
        return _with_paths(case, lambda path: os.path.normpath(self.folder / path))

    def entered(self, case: BaselineCase) -> BaselineCase:
        """Return a case whose paths are from the working folder with paths from the list's."""
        return _with_paths(case, lambda path: os.path.relpath(path, self.folder))


class Stored(BaseModel):
    """A stored result: what was run, hashes of what it was run on, and the run's record."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    baseline_version: int
    case: dict[str, Any]
    inputs: dict[str, str]
    first_frames: tuple[str, ...]
    result: dict[str, Any]

    def record(self, where: str) -> Record:
        """Return the run's record, checked. Raises RecordError."""
        return check_record(self.result, where)


def find_baseline(name_or_path: str | Path, to_record: bool = False) -> Path:
    """Return the list that a folder, a YAML file, or a shipped baseline's name means.

    to_record: what ships is not written to, so that a name is a folder's.
    """
    path = Path(name_or_path)
    if path.suffix.lower() in (".yaml", ".yml"):
        return path
    if not to_record and not path.exists() and str(path) in list_baselines():
        return shipped("configs") / "regress" / path / LIST_NAME
    return path / LIST_NAME


def list_baselines() -> list[str]:
    """Names of the shipped baselines, sorted."""
    home = shipped("configs") / "regress"
    return sorted(path.parent.name for path in home.glob(f"*/{LIST_NAME}"))


def read_baseline(path: Path) -> Baseline:
    """Read a list. Raises BaselineError naming file, line, value, rule and remedy."""
    tree = _tree(path)
    unknown = next((key for key in tree.value if key not in ("description", *_KEYS)), None)
    if unknown is not None:
        raise BaselineError(
            f"{tree.value[unknown].origin}: {unknown} is not a known key; "
            f"the keys here are description, {', '.join(_KEYS)}"
        )
    entries = tree.value.get("cases")
    if entries is None or not isinstance(entries.value, list) or not entries.value:
        raise BaselineError(
            f"{(entries or tree).origin}: cases must be a list of at least one case; add "
            "`- target: kws`, or name targets with --record"
        )
    description = tree.value.get("description")
    shared = _tolerances(tree)
    cases = [_case(entry, shared) for entry in entries.value]
    for number, case in enumerate(cases):
        if case.name in [other.name for other in cases[:number]]:
            raise BaselineError(
                f"{entries.value[number].origin}: name (={case.name}) is taken by another case; "
                "give each a name of its own"
            )
    return Baseline(path, tuple(cases), str(description.value) if description else "")


def chosen(baseline: Baseline, names: Sequence[str]) -> tuple[BaselineCase, ...]:
    """Return the cases named, or all. Raises BaselineError for a name that is none."""
    by_name = {case.name: case for case in baseline.cases}
    for name in names:
        if name not in by_name:
            hint = nearest(name, by_name, "cases")
            raise BaselineError(
                f"{baseline.path}: has no case {name}; {hint} (--record adds a target)"
            )
    return tuple(by_name[name] for name in dict.fromkeys(names)) or baseline.cases


def read_stored(path: Path) -> Stored:
    """Read a case's stored result. Raises BaselineError or RecordError."""
    if not path.exists():
        raise BaselineError(f"{path}: there is no stored result yet; make it with --record")
    content = read_json(path)
    version = content.get("baseline_version") if isinstance(content, dict) else None
    if version != BASELINE_VERSION:
        found = "none" if version is None else version
        raise BaselineError(
            f"{path}: has baseline version {found}, and this spusim reads {BASELINE_VERSION}; "
            "renew it with --record, or use the spusim that made it"
        )
    try:
        return Stored.model_validate_json(json.dumps(content))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"]))
        raise BaselineError(
            f"{path}: is damaged ({place}: {problem['msg'].lower()}); restore it, or renew it with "
            "--record"
        ) from None


def stored_text(stored: Stored) -> str:
    """Return a stored result as JSON text: sorted keys, a line a figure, so that it diffs well."""
    return record_text(stored.model_dump(mode="json"))


def list_text(path: Path, added: Iterable[BaselineCase]) -> str:
    """Return a list's text (a new one's, if there is none) with cases added, comments kept."""
    yaml = YAML(typ="rt")
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 100
    text = path.read_text(encoding="utf-8") if path.exists() else _HEADER + "cases: []\n"
    document = yaml.load(text)
    if not path.exists():
        document["cases"].fa.set_block_style()
    for case in added:
        words = case.words
        if "settings" in words:
            words["set"] = list(words.pop("settings"))
        document["cases"].append({"name": case.name, **words})
    out = StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def new_name(case: BaselineCase, taken: Iterable[str]) -> str:
    """Return a name for a case: its target's, then with the architecture, then numbered."""
    names = set(taken)
    stem = _stem(case.target)
    wanted = [stem, *([f"{stem}-{_stem(case.arch)}"] if case.arch else [])]
    numbered = (f"{stem}-{number}" for number in range(2, len(names) + 3))
    return next(name for name in (*wanted, *numbered) if name not in names)


_KEYS = ("tolerance", "cases")


def _tree(path: Path) -> Entry:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        known = ", ".join(list_baselines())
        raise BaselineError(
            f"{path}: no such baseline; make one with `spusim regress {path.parent} --record "
            f"TARGET...`, or name one that ships ({known})"
        ) from None
    except OSError as error:
        raise BaselineError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise BaselineError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    tree = Reader(str(path), 0, BaselineError).read(text)
    if tree is None or not isinstance(tree.value, dict):
        raise BaselineError(f"{path}:1: must be a mapping with a list of `cases:`")
    return tree


def _case(entry: Entry, shared: Tolerances) -> BaselineCase:
    if isinstance(entry.value, dict) and "target" not in entry.value:
        raise BaselineError(f"{entry.origin}: a case needs a target; add `target: kws`")
    words = build(CaseEntry, entry, BaselineError)
    case = BaselineCase(
        words.name or _stem(words.target),
        words.target,
        words.arch,
        words.network,
        words.stream,
        words.set,
        words.input_period,
        _tolerances(entry).over(shared),
    )
    if not _NAME.fullmatch(case.name):
        raise BaselineError(
            f"{entry.origin}: name (={case.name}) must be letters, digits, `.`, `_` and `-`, since "
            f"it names a file; try {_stem(case.name)}"
        )
    return case


def _tolerances(entry: Entry) -> Tolerances:
    found = entry.find(["tolerance"])
    try:
        return read_tolerances(found.plain, found.origin) if found else Tolerances()
    except ToleranceError as error:
        raise BaselineError(str(error)) from None


def _stem(target: str) -> str:
    name = Path(target).name
    suffix = Path(name).suffix.lower()
    stem = Path(name).stem if suffix in _SUFFIXES else name
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).lstrip("._-") or "case"


_SUFFIXES = {
    ".yaml", ".yml", ".pt", ".pth", ".tar", ".ckpt", ".bin", ".safetensors", ".spu", ".spuasm",
    ".json",
}  # fmt: skip


def _with_paths(case: BaselineCase, move: Any) -> BaselineCase:
    """Return a case whose paths are moved, and whose shipped names are not."""
    known = {
        "target": (*list_runs(), *list_networks()),
        "arch": tuple(list_archs()),
        "network": tuple(list_networks()),
        "stream": tuple(list_streams()),
    }
    moved: dict[str, Any] = {}
    for key, names in known.items():
        value = getattr(case, key)
        if not value or value in names or value.startswith("random:"):
            continue
        keyed = _STREAM_KEY.fullmatch(value) if key == "stream" else None
        moved[key] = f"{move(keyed[1])}:{keyed[2]}" if keyed else move(value)
    return replace(case, **moved)
