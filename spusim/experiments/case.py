"""What a target comes to, and its run: a machine, what runs on it, and a stream."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from spusim.api import compile_network, load_stream, simulate, simulate_program
from spusim.arch import Arch
from spusim.errors import SpusimError
from spusim.experiments.inputs import Origin
from spusim.frontend import clipped_inputs, list_streams, quantise_input
from spusim.network.records import Network, Quantum, Stream, Tensor
from spusim.program import Program
from spusim.result import RunResult

if TYPE_CHECKING:
    from spusim.source import Source

IMAGE_OF_NOISE = "noise:frames=1,seed=0"  # what a network over images sees where none is named


class CaseError(SpusimError):
    """A target and options that do not go together."""


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
