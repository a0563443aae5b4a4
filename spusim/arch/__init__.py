"""Architectures: frozen specs, YAML files with inheritance, rules between fields, JSON Schema."""

from spusim.arch.load import arch_hash, list_archs, load_arch, presets_computing
from spusim.arch.rules import check_arch
from spusim.arch.spec import Arch, ArchError

__all__ = [
    "Arch",
    "ArchError",
    "arch_hash",
    "check_arch",
    "list_archs",
    "load_arch",
    "presets_computing",
]
