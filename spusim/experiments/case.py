"""From a target and options, as the command line takes them, to a run."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spusim.api import (
    compile_network,
    load_arch,
    load_network,
    load_stream,
    simulate,
    simulate_program,
)
from spusim.arch import Arch, ArchError, arch_hash, list_archs
from spusim.errors import SpusimError
from spusim.experiments.inputs import Origin
from spusim.experiments.runs import (
    DEFAULT_ARCH,
    Run,
    RunError,
    is_network_file,
    list_runs,
    load_run,
)
from spusim.frontend import (
    clipped_inputs,
    fqir,
    list_networks,
    list_streams,
    network_hash,
    quantise_input,
)
from spusim.frontend.profiled import find_profile, list_profiles
from spusim.network.records import Network, Quantum, Stream, Tensor
from spusim.numerics import numerics_of
from spusim.program import Program
from spusim.result import RunResult

if TYPE_CHECKING:
    from spusim.source import Source

# first keys of settings that change a network; all others are for the architecture
NETWORK_KEYS = frozenset({"input", "labels", "layers", "prune", "quantise", "weights"})
IMAGE_OF_NOISE = "noise:frames=1,seed=0"  # what a network over images sees where none is named


class CaseError(SpusimError):
    """A target and options that do not go together."""


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


@dataclass(frozen=True)
class Case:
    """What a target comes to: a machine with a network, or (an image, a source) with a program.

    stream: the one that belongs to the target, or None; source: a program source, whose frames
    and input period count where no others are named; origin: what the network was made from.
    """

    name: str
    arch: Arch
    network: Network | None
    program: Program | None = None
    stream: str | None = None
    source: "Source | None" = None
    origin: Origin = field(default_factory=Origin)


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


def compile_case(case: Case) -> Program:
    """Return a case's program; an image's own. Raises SpusimError for what does not fit."""
    if case.program is not None:
        return case.program
    assert case.network is not None
    return compile_network(case.network, case.arch)


def run_case(
    case: Case,
    stream: str | None = None,
    *,
    input_period: int | None = None,
    baseline: bool = True,
) -> RunResult:
    """Run a case on a stream (default: its own), energy attached.

    baseline: also run the machine with nothing skipped, for the speedup; an image has none. The
    result's details tell the stream, and of each of its files what was heard. Raises SpusimError.
    """
    check_period(input_period)
    spec, frames = case_stream(case, stream)
    if case.program is not None:
        if case.source and input_period is None:
            input_period = case.source.input_period
        result = simulate_program(case.program, case.arch, frames, input_period=input_period)
        notes = ["a program has no dense twin: the speedup is left out"] * baseline
    else:
        assert case.network is not None
        result = simulate(
            case.network, case.arch, frames, input_period=input_period, baseline=baseline
        )
        notes = [*frames.notes, *clipping_notes(frames, case.network)]
    return with_files(replace(result, notes=(*result.notes, *notes)), spec, frames)


def with_files(result: RunResult, spec: str, stream: Stream) -> RunResult:
    """Return a result whose details tell the stream, and of each of its files what was heard."""
    told = {"input": _told_stream(spec, stream), "files": _files(result, stream)}
    return replace(result, details={**result.details, **told})


def clipping_notes(stream: Stream, network: Network) -> list[str]:
    """Return a note on input values that were clipped, if there were any."""
    clipped = clipped_inputs(stream, network)
    return [f"input: {clipped} of {stream.frames.size} values were clipped"] if clipped else []


def case_stream(case: Case, stream: str | None = None) -> tuple[str, Stream]:
    """Return what to call a case's stream (default: its own), and its frames."""
    if case.source and not stream:
        return "of the program source", _source_stream(case.source)
    spec = stream or case.stream or _default_stream(case)
    if case.program is not None:
        return spec, _image_stream(case, spec)
    return spec, load_stream(spec, case.network)


def check_period(input_period: int | None) -> None:
    """Raise CaseError for a period below a cycle."""
    if input_period is not None and input_period < 1:
        raise CaseError(f"input period (={input_period}) must be at least 1 cycle")


def integer_stream(case: Case, stream: str | None = None) -> Stream:
    """Return the codes that a case is run on, from a stream or its own. Raises SpusimError."""
    frames = case_stream(case, stream)[1]
    if case.program is not None:
        return frames
    assert case.network is not None
    return quantise_input(frames, case.network)


# targets


def _named(target: str, choice: Choice) -> Case:
    if target in list_runs():
        return _run_file(target, choice)
    if target in list_networks():
        return _network(target, choice)
    known = dict.fromkeys([*list_runs(), *list_networks()])
    raise CaseError(
        f"{target}: is no shipped run or network ({', '.join(known)}), and its suffix is none of "
        f"a target's ({', '.join(_OPENERS)}); check the name, or give a path"
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


# streams


def _default_stream(case: Case) -> str:
    name = case.network.name if case.network else case.name
    if name in list_streams():
        return name
    if case.network and case.network.picture:
        return IMAGE_OF_NOISE
    raise CaseError(
        f"{case.name}: has no stream of its own, and none that ships is named {name}; name one "
        f"with --stream: a file, a folder, one of {', '.join(list_streams())}, or "
        "random:density=0.5,frames=50,seed=1"
    )


def _source_stream(source: "Source") -> Stream:
    if not len(source.frames):
        raise CaseError(
            f"{source.program.name}: the program source has no frames; add `.frame` lines, or name "
            "a stream with --stream"
        )
    names = tuple(f"file {number}" for number in range(len(source.starts)))
    return Stream(source.frames, source.starts, names)


def _image_stream(case: Case, spec: str) -> Stream:
    """Return an image's integer stream: codes as they are, or quantised as its network says."""
    assert case.program is not None
    port = case.program.input
    if case.network is not None:
        return quantise_input(load_stream(spec, case.network), case.network)
    # what an image knows of its network is its input
    frame = Tensor("input", port.elements, Quantum(port.bits, 0))
    stand_in = Network(case.name, frame, (), (), frame.name)
    stream = load_stream(spec, stand_in)
    if stream.frames.dtype.kind == "f":
        raise CaseError(
            f"stream {spec} has real values, and a program image takes integer codes; bring "
            f"{port.bits}-bit codes, or name the image's network with --network to have them "
            "quantised"
        )
    return quantise_input(stream, stand_in)


def _told_stream(spec: str, stream: Stream) -> str:
    files = f", {len(stream.starts)} files" if len(stream.starts) > 1 else ""
    return f"stream {spec}{files}"


def _files(result: RunResult, stream: Stream) -> list[dict[str, str | int]]:
    """Return each file's name and frames, its true label and the one heard where known."""
    ends = (*stream.starts[1:], len(stream.frames))
    labels = result.details.get("labels", ())
    files: list[dict[str, str | int]] = []
    for number, (name, start, end) in enumerate(
        zip(stream.names, stream.starts, ends, strict=True)
    ):
        file: dict[str, str | int] = {"name": name, "frames": end - start}
        if stream.labels:
            file["label"] = stream.labels[number]
        if labels:
            file["heard"] = labels[int(np.argmax(result.outputs[end - 1]))]
        files.append(file)
    return files
