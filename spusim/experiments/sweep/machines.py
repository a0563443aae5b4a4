"""The machines of a sweep's points: an architecture each, with the points' settings laid over it.

Most of a machine is another's: what settings leave alone is read, checked and kept once.
"""

import functools
import os
from dataclasses import dataclass, field, replace
from typing import Any

from spusim.arch import Arch, ArchError
from spusim.arch.document import Entry, merge
from spusim.arch.load import ARCHS, obeying
from spusim.arch.rules import broken_rules
from spusim.arch.validate import MadeSections, build, drop_nulls, made_sections
from spusim.energy import list_technologies, load_technology
from spusim.errors import SpusimError
from spusim.experiments.places import beside
from spusim.experiments.sweep.axes import Assignment, shown
from spusim.experiments.sweep.file import SweepError
from spusim.experiments.sweep.identity import arch_content, hash_of, technology_content


@dataclass(frozen=True)
class _ArchFile:
    """An architecture's tree as its files say it and without nulls, and what is made of that."""

    said: Entry
    tree: Entry
    made: MadeSections


def _read_arch(name: str) -> _ArchFile:
    said = ARCHS.read(name)
    tree = drop_nulls(said, Arch)
    try:
        made = made_sections(build(Arch, tree, SweepError), tree)
    except SweepError:  # what it lacks the sweep may set
        made = {}
    return _ArchFile(said, tree, made)


@dataclass
class Machines:
    """Makes a part's machines, each once."""

    _technologies: dict[str, str] = field(default_factory=dict)
    _files: dict[str, _ArchFile] = field(default_factory=dict)
    _archs: dict[Any, tuple[Arch, str | None, str]] = field(default_factory=dict)

    def get(self, base: Entry, settings: Assignment) -> tuple[Arch, str | None, str]:
        """Return a machine, why it cannot be built if so, and its content. Raises SweepError."""
        key = (base.value, spelled(settings))
        if key not in self._archs:
            if base.value not in self._files:
                self._files[base.value] = _read_arch(base.value)
            file = self._files[base.value]
            laid = [nested(name, _table_found(name, entry)) for name, entry in settings.items()]
            arch = build(Arch, functools.reduce(merge, laid, file.tree), SweepError, file.made)
            impossible = None
            try:
                if broken_rules(arch):
                    obeying(arch, functools.reduce(merge, laid, file.said))
            except ArchError as error:
                impossible = str(error)
            content = hash_of([arch_content(arch), self._technology(arch.technology)])
            self._archs[key] = (arch, impossible, content)
        return self._archs[key]

    def _technology(self, name: str) -> str:
        if name not in self._technologies:
            self._technologies[name] = technology_content(name)
        return self._technologies[name]


def nested(name: str, entry: Entry) -> Entry:
    """Return a parameter's entry as a tree."""
    for step in reversed(name.split(".")):
        entry = Entry({step: entry}, entry.origin, entry.layer)
    return entry


def spelled(settings: Assignment) -> tuple[str, ...]:
    """Return settings as texts that are equal for equal ones."""
    return tuple(f"{name}={shown(entry.plain)}" for name, entry in settings.items())


def _table_found(name: str, entry: Entry) -> Entry:
    """Make good a technology table's path, and read the table."""
    if name != "technology":
        return entry
    value = str(entry.value)
    path = value if value in list_technologies() else os.path.relpath(beside(entry, value))
    try:
        load_technology(path)
    except SpusimError as error:
        raise SweepError(f"{entry.origin}: {error}") from None
    return replace(entry, value=path)
