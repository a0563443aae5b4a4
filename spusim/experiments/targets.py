"""From a target and options, as the command line takes them, to a case."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from spusim.api import load_arch, load_network
from spusim.arch import Arch, ArchError, arch_hash, list_archs
from spusim.errors import nearest
from spusim.experiments.case import Case, CaseError
from spusim.experiments.inputs import Origin
from spusim.experiments.runs import (
    DEFAULT_ARCH,
    Run,
    RunError,
    is_network_file,
    list_runs,
    load_run,
)
from spusim.frontend import fqir, list_networks, network_hash
from spusim.frontend.profiled import find_profile, list_profiles
from spusim.numerics import numerics_of
from spusim.program import Program

# first keys of settings that change a network; all others are for the architecture
NETWORK_KEYS = frozenset({"input", "labels", "layers", "prune", "quantise", "weights"})


@dataclass(frozen=True)
class Choice:
    """What the options say, None or empty where they say nothing."""

    arch: str | None = None
    network: str | None = None
    settings: tuple[str, ...] = ()
    stream: str | None = None

    @property
    def arch_settings(self) -> list[str]:
        """Settings that change the architecture."""
        return [s for s in self.settings if _first_key(s) not in NETWORK_KEYS]

    @property
    def network_settings(self) -> list[str]:
        """Settings that change the network."""
        return [s for s in self.settings if _first_key(s) in NETWORK_KEYS]


def open_case(
    target: str,
    arch: str | None = None,
    network: str | None = None,
    settings: Sequence[str] = (),
    stream: str | None = None,
) -> Case:
    """Open a target: a run, network, checkpoint, plan, image or source, by path or shipped name.

    arch, network: a path or shipped name, over what the target says. settings: `a.b=c` for the
    architecture, or (`quantise.*`, `prune.*`, `layers.*`, ...) the network. stream: what a float
    checkpoint is calibrated on, if its network file names nothing. Raises SpusimError.
    """
    choice = Choice(arch, network, tuple(settings), stream)
    opener = _OPENERS.get(Path(target).suffix.lower(), _named)
    return opener(target, choice)


def profile_settings(target: str, profile: str | None) -> tuple[str, ...]:
    """Return the setting that prunes a target's network by a sparsity profile, or none.

    profile: a path, or a shipped name. Raises CaseError for a target that is no network any more,
    PruneError for a profile that is neither.
    """
    if profile is None:
        return ()
    if Path(target).suffix.lower() in (".spu", ".spuasm", ".json"):
        raise CaseError(
            f"{target}: is compiled or quantised already, too late for a sparsity profile; name "
            "the network"
        )
    find_profile(profile, Path())
    found = profile if profile in list_profiles() else os.path.abspath(profile)
    return (f"prune.profile={json.dumps(found)}",)


def _named(target: str, choice: Choice) -> Case:
    if target in list_runs():
        return _run_file(target, choice)
    if target in list_networks():
        return _network(target, choice)
    known = dict.fromkeys([*list_runs(), *list_networks()])
    raise CaseError(
        f"{target}: is no shipped run or network, and its suffix is none of a target's "
        f"({', '.join(_OPENERS)}); {nearest(target, known)}"
    )


def _yaml(target: str, choice: Choice) -> Case:
    return (_network if is_network_file(target) else _run_file)(target, choice)


def _run_file(target: str, choice: Choice) -> Case:
    run = load_run(target)
    _check_settings(run)
    merged = Choice(
        choice.arch or run.arch, choice.network or run.network, (*run.settings, *choice.settings)
    )
    if fqir.is_plan(str(merged.network)):
        plan = _plan(str(merged.network), replace(merged, network=None))
        return replace(plan, name=run.name, stream=run.stream)
    network = load_network(str(merged.network), settings=merged.network_settings)
    origin = Origin(str(merged.network), settings=tuple(merged.network_settings))
    return Case(run.name, _arch(merged), network, stream=run.stream, origin=origin)


def _check_settings(run: Run) -> None:
    """Blame a run file's own settings on its line."""
    try:
        load_arch(run.arch, Choice(settings=run.settings).arch_settings)
    except ArchError as error:
        raise RunError(f"{run.origins.get('set') or run.origins['network']}: {error}") from error


def _network(target: str, choice: Choice) -> Case:
    if choice.network:
        raise CaseError(
            f"{target}: is a network already; --network (={choice.network}) goes with a checkpoint "
            "or a run, drop one of the two"
        )
    network = load_network(target, settings=choice.network_settings)
    origin = Origin(target, settings=tuple(choice.network_settings))
    return Case(network.name, _arch(choice), network, origin=origin)


def _checkpoint(target: str, choice: Choice) -> Case:
    network = load_network(
        choice.network, target, settings=choice.network_settings, calibrate_else=choice.stream
    )
    origin = Origin(choice.network, target, tuple(choice.network_settings))
    return Case(network.name, _arch(choice), network, origin=origin)


def _image(target: str, choice: Choice) -> Case:
    from spusim.image import load_program

    program = load_program(target)
    if choice.arch is None and program.arch_name not in list_archs():
        raise CaseError(
            f"{target}: was compiled for {program.arch_name}, which does not ship; name its file "
            "with --arch"
        )
    arch = _arch(replace(choice, arch=choice.arch or program.arch_name))
    network = None
    if choice.network:
        plan = fqir.is_plan(choice.network)
        opener = fqir.load_plan if plan else partial(load_network, settings=choice.network_settings)
        network = opener(choice.network)
        _same(target, "network", network.name, network_hash(network), program)
    _same(target, "arch", arch.name, arch_hash(arch), program)
    return Case(program.name, arch, network, program, origin=Origin(program=target))


def _source(target: str, choice: Choice) -> Case:
    if choice.network:
        raise CaseError(
            f"{target}: is a program; --network (={choice.network}) goes with a checkpoint or a "
            "run, drop it"
        )
    from spusim.source import load_source

    source = load_source(target, choice.arch, choice.settings)
    origin = Origin(program=target)
    return Case(
        source.program.name, source.arch, None, source.program, source=source, origin=origin
    )


def _same(target: str, key: str, name: str, found: str, program: Program) -> None:
    wanted = program.hashes.get(key, "none")
    if found != wanted:
        made_for = f" {program.arch_name}" if key == "arch" else ""
        raise CaseError(
            f"{target}: was compiled for {key}{made_for} with hash {wanted[:12]}, {name} has "
            f"{found[:12]}; name the {key} and the settings it was compiled with, or compile again"
        )


def _plan(target: str, choice: Choice) -> Case:
    if choice.network:
        raise CaseError(
            f"{target}: is an FQIR plan, which is a network; --network (={choice.network}) goes "
            "with a checkpoint or a run, drop it"
        )
    if choice.network_settings:
        raise CaseError(
            f"{target}: is an FQIR plan, pruned and quantised already; drop "
            f"{choice.network_settings[0]}, which goes with a network or a checkpoint"
        )
    arch = _arch(choice)
    network = fqir.load_plan(target, numerics_of(arch.numerics))
    return Case(network.name, arch, network, origin=Origin(plan=target))


_OPENERS: dict[str, Callable[[str, Choice], Case]] = {
    ".yaml": _yaml,
    ".yml": _yaml,
    ".pt": _checkpoint,
    ".pth": _checkpoint,
    ".tar": _checkpoint,
    ".ckpt": _checkpoint,
    ".bin": _checkpoint,
    ".safetensors": _checkpoint,
    ".spu": _image,
    ".json": _plan,
    ".spuasm": _source,
}


def _arch(choice: Choice) -> Arch:
    return load_arch(choice.arch or DEFAULT_ARCH, choice.arch_settings)


def _first_key(setting: str) -> str:
    return setting.partition("=")[0].partition(".")[0].strip()
