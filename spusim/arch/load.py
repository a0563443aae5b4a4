"""Loading an architecture: a preset or a file, its bases, settings, and every check."""

import hashlib
import json
from collections.abc import Sequence

from spusim.arch.document import Entry
from spusim.arch.reuse import OfArch
from spusim.arch.rule import Rule
from spusim.arch.rules import broken_rules
from spusim.arch.shelf import PathLike, Shelf
from spusim.arch.spec import Arch, ArchError
from spusim.arch.validate import build

ARCHS = Shelf("arch", "architecture", ArchError)


def load_arch(name_or_path: PathLike, settings: Sequence[str] = ()) -> Arch:
    """Load a shipped architecture by name, or a YAML file by path.

    settings: `core.queue.depth=2` strings, laid over the file in order; values are YAML.
    A file may build on another with `base: name-or-path`; a null section takes back what its
    base set. Raises ArchError naming file and line (or setting), value, rule and remedy.
    """
    tree = ARCHS.read(name_or_path, settings)
    return obeying(build(Arch, tree, ArchError), tree)


def obeying(arch: Arch, tree: Entry) -> Arch:
    """Return arch, made of tree, if it obeys every rule; raises ArchError blaming tree's places."""
    broken = broken_rules(arch)
    if broken:
        raise ArchError(
            "\n".join(f"{_blame(rule, tree)}: {rule.complaint(arch)}" for rule in broken)
        )
    return arch


def list_archs() -> list[str]:
    """Names of the shipped architectures, sorted."""
    return ARCHS.names()


def presets_computing(precision: str) -> list[str]:
    """Names of the shipped architectures whose lanes compute a precision, such as `2x8`."""
    return [name for name in list_archs() if precision in load_arch(name).core.precisions]


def arch_hash(arch: Arch) -> str:
    """Return the sha256 (hex) of all that an architecture says but its name and description."""
    return _HASHED(arch)


def _hash(arch: Arch) -> str:
    content = arch.model_dump(mode="json", exclude={"name", "description"})
    if content["external_memory"] is None:
        del content["external_memory"]  # as machines were told apart before any had one
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


_HASHED = OfArch(_hash)


def _blame(rule: Rule, tree: Entry) -> str:
    """Return the place of the rule's field that was set last; ties go to the first named."""
    entries = [tree.find(path.split(".")) for path in rule.fields]
    present = [entry for entry in entries if entry is not None]
    return max(present, key=lambda entry: entry.layer).origin if present else tree.origin
