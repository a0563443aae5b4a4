"""A rule between the fields of an architecture."""

from collections.abc import Callable
from dataclasses import dataclass

from spusim.arch.spec import Arch


@dataclass(frozen=True)
class Rule:
    """One rule: `holds` says whether an Arch obeys it, `message` and `remedy` what to say if not.

    fields: dotted paths of the values involved, the likeliest culprit first.
    """

    name: str
    fields: tuple[str, ...]
    docs: str
    holds: Callable[[Arch], bool]
    message: Callable[[Arch], str]
    remedy: Callable[[Arch], str]

    def complaint(self, arch: Arch) -> str:
        """Message and remedy for an architecture that breaks the rule."""
        return f"{self.message(arch)}; {self.remedy(arch)}"
