"""SmartSkip (DeGirum, an FPGA prototype) on the preset `smartskip`: one layer, whole networks."""

from functools import cache

from spusim.experiments.charts.smartskip import Points, network_gains, smartskip_curve
from spusim.experiments.smartskip import (
    ARCH,
    CURVE_CHANNELS,
    FIGURE,
    FITTED,
    GAINS,
    NetworkGain,
    curve,
    network_gain,
    speedup,
)
from spusim.experiments.validation.published import source_of
from spusim.experiments.validation.records import Row, Study

WITHIN_FIGURE = 0.05  # of every point of the figure
# network -> what must hold of its gain, and what was known of it when the machine was chosen
NETWORKS = {
    "resnet50_pruned_70": (0.05, "fitted"),
    "resnet50_pruned_83": (0.10, "not fitted on, but seen"),
}
CHANNELS = (64, 128, 256, 512)
GROWTH_REDUCTION = 5.0  # at which speedups of other channels are told
_OTHER_REDUCTIONS = (2.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_WHOLE = "all"
_MASKS = "zero kernels, filters and channels as in its profile"
_FIT = (
    f"three numbers of the machine were fitted on the figure and the network pruned to 70 %: "
    f"{', '.join(FITTED)}; nothing is published of the machine itself (docs/smartskip_fit.md)"
)


def smartskip_figure() -> Study:
    """Return the speedup of a 3 x 3 layer over parameter reductions, and by channels."""
    points = curve()
    rows = [
        Row(f"reduction {point.reduction:g}", "x", point.published, point.ours, WITHIN_FIGURE)
        for point in points
    ]
    by_channels = {channels: _by_reduction(channels) for channels in CHANNELS}
    notes = (
        _FIT,
        "ours: means of three seeds, zeros uniformly at random, 14 x 14 pixels, which the figure "
        "does not name; both sides are over the same machine with dense weights",
        "the prototype loses more at moderate sparsity, and less of it later: a fixed cost for "
        "each beat or filter, which ours does not have",
    )
    ours: dict[int, Points] = {CURVE_CHANNELS: [(point.reduction, point.ours) for point in points]}
    ours |= {n: list(found.items()) for n, found in by_channels.items() if n != CURVE_CHANNELS}
    return Study(
        "smartskip_figure",
        f"SmartSkip: 3 x 3, {CURVE_CHANNELS} channels and filters",
        source_of(FIGURE),
        ARCH,
        (*rows, *_growth({n: found[GROWTH_REDUCTION] for n, found in by_channels.items()})),
        notes,
        smartskip_curve([(point.reduction, point.published) for point in points], ours),
    )


def resnet50_gains() -> Study:
    """Return the gains of two pruned ResNet-50s, with masks of their profiles and plain ones."""
    rows: list[Row] = []
    drawn: dict[str, dict[str, dict[str, float]]] = {}
    for network, (within, known) in NETWORKS.items():
        ours, plain = gain_of(network), gain_of(network, structured=False)
        name = network.removeprefix("resnet50_")
        rows += [
            Row(f"{name}: ideal", "x", ours.published_ideal, ours.ideal, 0.01),
            Row(f"{name}: gain", "x", ours.published, ours.ours, within, f"{known}; {_MASKS}"),
            Row(f"{name}: gain, random masks", "x", ours.published, plain.ours),
        ]
        drawn[f"{name.removeprefix('pruned_')} % pruned"] = _drawn(ours, plain)
    notes = (
        _FIT,
        "the gain at 83 % was printed beside the others while machines were tried: it checks a "
        "machine that was not tuned to it, and is no blind prediction",
        "ours: all 54 layers at 224 x 224, the dense stem among them; each layer's nonzeros are "
        "exactly the profile's; the engine alone, weights and activations on chip",
        "random masks: the same nonzeros, anywhere; without kernels that are zero altogether the "
        "PEs' shares of a channel differ less, but little, since a PE owns several filters",
    )
    return Study(
        "resnet50_gains",
        "SmartSkip: ResNet-50 at 224 x 224",
        source_of(GAINS),
        ARCH,
        tuple(rows),
        notes,
        network_gains(drawn),
    )


@cache
def gain_of(network: str, structured: bool = True) -> NetworkGain:
    """Return a network's gain with the first seed: five differ by half a per cent."""
    return network_gain(network, structured=structured)


def _by_reduction(channels: int) -> dict[float, float]:
    return {reduction: speedup(channels, reduction) for reduction in _OTHER_REDUCTIONS}


def _drawn(ours: NetworkGain, plain: NetworkGain) -> dict[str, dict[str, float]]:
    """Return the figure's points of a network, the whole of it first."""
    ideals = {_short(kind): found.ideal for kind, found in ours.kinds.items()}
    return {
        "ideal": {_WHOLE: ours.ideal, **ideals},
        **{
            label: {_WHOLE: gain.ours, **{_short(k): found.gain for k, found in gain.kinds.items()}}
            for label, gain in (("ours, random masks", plain), ("ours, masks of the profile", ours))
        },
        "published": {_WHOLE: ours.published},
    }


def _short(kind: str) -> str:
    """Return a kind of layer as ticks have room for: L1 over 3x3."""
    stage, _, size = kind.partition(" ")
    stage = stage.replace("layer", "L").replace("conv1", "stem")
    return f"{stage}\n{size.replace(' ', '')}"


def _growth(speedups: dict[int, float]) -> list[Row]:
    """Return a row for each number of channels: more must be faster."""
    rows: list[Row] = []
    least = 1.0
    for channels, found in speedups.items():
        name = f"reduction {GROWTH_REDUCTION:g}, {channels} channels"
        note = "" if rows else "one seed; it must grow with the channels, and those of a PE"
        rows.append(Row(name, "x", None, found, None, note, above=least))
        least = found
    return rows
