"""Files of one kind: shipped presets, found by name, and users' own, each on top of its base."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spusim.arch.document import Entry, Reader, merge
from spusim.errors import SpusimError, nearest
from spusim.resources import shipped

PathLike = str | os.PathLike[str]
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class _Source:
    path: Path
    label: str


@dataclass(frozen=True)
class Shelf:
    """The files of one kind: presets in `configs/<folder>` and users' own.

    kind: what messages call them; error: what reading them raises.
    """

    folder: str
    kind: str
    error: type[SpusimError]

    def names(self) -> list[str]:
        """Names of the shipped presets, sorted."""
        return sorted(path.stem for path in self._home().glob("*.yaml"))

    def read(self, name_or_path: PathLike, settings: Sequence[str] = ()) -> Entry:
        """Read a preset or file with the chain of its bases, then lay `a.b=c` settings over it.

        `name`, if the file sets none, becomes the file's; neither it nor `description` is
        inherited. Raises `error` for a missing, unreadable, circular or malformed file.
        """
        source = self._locate(name_or_path, None, "")
        own, *bases = self._chain(source)
        tree = own
        if bases:
            tree = bases.pop()
            while bases:
                tree = merge(tree, bases.pop())
            tree = merge(_without(tree, "name", "description"), own)
        if "name" not in tree.value:
            tree = Entry({"name": Entry(source.path.stem, own.origin), **tree.value}, own.origin)
        for layer, setting in enumerate(settings, start=1):
            tree = merge(tree, self._setting(setting, layer))
        return tree

    def _home(self) -> Path:
        return shipped("configs") / self.folder

    def _chain(self, source: _Source) -> list[Entry]:
        """Trees of a file and of its bases, the file first, without their `base` keys."""
        trees: list[Entry] = []
        visited: list[_Source] = []
        while True:
            tree = self._document(source, -len(trees))
            trees.append(_without(tree, "base"))
            visited.append(source)
            base = tree.value.get("base")
            if base is None:
                return trees
            if not isinstance(base.value, str):
                raise self.error(
                    f"{base.origin}: base must be a preset's name or a path; "
                    f"presets: {', '.join(self.names())}"
                )
            source = self._locate(base.value, source.path.parent, f"{base.origin}: base: ")
            if any(source.path.samefile(other.path) for other in visited):
                way = " -> ".join(link.label for link in [*visited, source])
                raise self.error(f"{base.origin}: base: {way} is a cycle; remove one `base:`")

    def _document(self, source: _Source, layer: int) -> Entry:
        try:
            data = source.path.read_bytes()
            text = data[: _MOST_BYTES + 1].decode("utf-8-sig")
        except OSError as problem:
            raise self.error(
                f"{source.label}: cannot be read ({problem.strerror}); check the path and rights"
            ) from None
        except UnicodeDecodeError:
            raise self.error(f"{source.label}: is not UTF-8 text; save it as UTF-8") from None
        if len(data) > _MOST_BYTES:
            raise self.error(f"{source.label}: is larger than 1 MiB; it cannot be a {self.kind}")
        tree = Reader(source.label, layer, self.error).read(text)
        if tree is None:
            raise self.error(
                f"{source.label}:1: is empty; write at least `base: {self.names()[0]}`"
            )
        if not isinstance(tree.value, dict):
            raise self.error(
                f"{tree.origin}: must be a mapping of keys to values, not a "
                f"{'list' if isinstance(tree.value, list) else 'single value'}; "
                f"start with `base: {self.names()[0]}`"
            )
        return tree

    def _locate(self, name_or_path: PathLike, beside: Path | None, prefix: str) -> _Source:
        """Find a preset by name, or a file by path, relative to the folder `beside`."""
        given = os.fspath(name_or_path)
        if given in self.names():
            return _Source(self._home() / f"{given}.yaml", f"configs/{self.folder}/{given}.yaml")
        path = Path(given) if beside is None else beside / given
        if path.is_file():
            return _Source(path, self._label(path))
        if path.is_dir():
            raise self.error(f"{prefix}{given}: is a folder; name a file in it")
        names = self.names()
        looks_like_path = path.suffix in (".yaml", ".yml") or os.sep in given
        what = "no such file" if looks_like_path else f"no {self.kind} of that name"
        hint = nearest(Path(given).stem, names, "presets")
        raise self.error(f"{prefix}{given}: {what}; {hint}")

    def _label(self, path: Path) -> str:
        label = os.path.normpath(path)
        home = self._home().resolve()
        if path.resolve().parent == home:
            return f"configs/{self.folder}/{path.name}"
        return label

    def _setting(self, setting: str, layer: int) -> Entry:
        """Parse `a.b=c`; c is a YAML value."""
        origin = f"--set {setting}"
        path, equals, text = setting.partition("=")
        steps = path.strip().split(".")
        if not equals or not all(steps):
            raise self.error(f"{origin}: must look like key.key=value; try core.queue.depth=2")
        if steps[0] == "base":
            raise self.error(f"{origin}: base cannot be set; name the other {self.kind} itself")
        entry = Reader(origin, layer, self.error, lines=False).read(text)
        entry = Entry(None, origin, layer) if entry is None else entry
        for step in reversed(steps):
            entry = Entry({step: entry}, origin, layer)
        return entry


def _without(tree: Entry, *keys: str) -> Entry:
    kept = {key: entry for key, entry in tree.value.items() if key not in keys}
    return Entry(kept, tree.origin, tree.layer)
