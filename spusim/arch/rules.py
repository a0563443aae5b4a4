"""Rules between the fields of an architecture: what cannot be built, and what to do instead."""

from spusim.arch.engine_rules import ENGINE_RULES
from spusim.arch.format_rules import FORMAT_RULES
from spusim.arch.memory_rules import MEMORY_RULES
from spusim.arch.number_rules import NUMBER_RULES
from spusim.arch.rule import Rule
from spusim.arch.spec import Arch, ArchError

RULES: tuple[Rule, ...] = (*ENGINE_RULES, *FORMAT_RULES, *NUMBER_RULES, *MEMORY_RULES)


def broken_rules(arch: Arch) -> list[Rule]:
    """Return the rules that arch breaks, in the table's order."""
    return [rule for rule in RULES if not rule.holds(arch)]


def check_arch(arch: Arch) -> Arch:
    """Return arch if it obeys every rule; raises ArchError with a line per broken rule.

    For architectures made in Python (`model_copy`); `load_arch` has checked its own.
    """
    broken = broken_rules(arch)
    if broken:
        raise ArchError("\n".join(f"{arch.name}: {rule.complaint(arch)}" for rule in broken))
    return arch
