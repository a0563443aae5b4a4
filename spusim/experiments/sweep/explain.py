"""What a sweep will do, for people: how many points, and what each axis is."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from spusim.experiments.quantities import count
from spusim.experiments.sweep.axes import Axis, shown
from spusim.experiments.sweep.file import ConvFile, Sweep
from spusim.experiments.sweep.parts import OpenPart
from spusim.experiments.tables import table

MOST_SHOWN = 12  # values of an axis; beyond, those in the middle are left out


def sweep_parts(sweep: Sweep, parts: Sequence[OpenPart]) -> Iterator[RenderableType]:
    """Yield what `--dry-run` prints."""
    yield f"{sweep.name}: {count(sum(part.count for part in parts), 'point')}"
    if sweep.description:
        yield sweep.description
    for part in parts:
        yield ""
        rows = [[axis.name, axis.how, _values(axis), _about(part, axis)] for axis in part.axes.axes]
        yield table(_title(part), ["axis", "", "values", "what it is"], rows, texts=4)


def _title(part: OpenPart) -> str:
    file = part.part.file
    if file.layer is not None:
        what = f"layer of {file.layer.inputs or '?'} inputs, {file.layer.outputs or '?'} outputs"
    elif file.conv is not None:
        what = _convolution(file.conv)
    else:
        what = f"network {_base(part, 'network')}"
    draws = f", {file.replicas} replicas" if file.replicas > 1 else ""
    dense = ", each also skipping nothing" if file.baseline else ""
    return (
        f"{part.part.name}: {what} on {_base(part, 'arch')}; "
        f"{count(part.count, 'point')}{draws}{dense}"
    )


def _convolution(conv: ConvFile) -> str:
    filters, kernel = conv.out_channels or "?", conv.kernel or "?"
    size = conv.size or "?"
    return (
        f"{filters} filters of {kernel} x {kernel} over {conv.in_channels or '?'} x {size} x {size}"
    )


def _base(part: OpenPart, key: str) -> str:
    """Return what holds at every point, unless it is an axis."""
    swept = any(axis.name == key for axis in part.axes.axes)
    return "as the axis says" if swept else str(part.base[key].value)


def _about(part: OpenPart, axis: Axis) -> str:
    return part.parameter(axis.name).about


def _values(axis: Axis) -> str:
    texts = [shown(value) for value in axis.values]
    if len(texts) > MOST_SHOWN:
        half = MOST_SHOWN // 2
        texts = [*texts[:half], f"... ({len(texts)} in all) ...", *texts[-half:]]
    return ", ".join(texts)
