"""Make the figure and the tables of docs/silero_vad.md."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.silero.compare import (
    THRESHOLD,
    VARIANTS,
    Compared,
    compare,
    halves,
)
from benchmarks.silero.figure import save_figure
from benchmarks.silero.model import ROOT, WEIGHTS, speech_files

ARCHS = {"spu001": (), "spu001, one core": ("cores=1",)}
FIGURE = ROOT / "docs" / "figures" / "silero_vad.png"


def main() -> None:
    """Run all variants on speech, print the tables, save the figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.silero", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=FIGURE, help="the figure (.png)")
    output = parser.parse_args().output
    files = speech_files()
    if not WEIGHTS.exists() or not files:
        raise SystemExit("no weights or no speech; run `make silero`")
    calibration, speech = halves(files)
    runs = {
        arch: [compare(variant, calibration, speech, "spu001", settings) for variant in VARIANTS]
        for arch, settings in ARCHS.items()
    }
    print(f"calibrated on {', '.join(calibration.names)}; {len(speech.frames)} frames of "
          f"{', '.join(speech.names)}\n")  # fmt: skip
    print("\n".join(_accuracy(runs["spu001"])), end="\n\n")
    for arch, found in runs.items():
        print("\n".join(_costs(arch, found)), end="\n\n")
    save_figure(runs["spu001"], speech, output)
    print(f"written: {output}")


def _accuracy(found: list[Compared]) -> Iterator[str]:
    """Yield the table of differences."""
    yield (
        "| weights | largest difference | mean | frames across 0.5 "
        "| frames where floats differ from dense |"
    )
    yield "|---|--:|--:|--:|--:|"
    for each in found:
        other = (each.floats > THRESHOLD) != (found[0].floats > THRESHOLD)
        yield (
            f"| {each.variant.name} | {each.differences.max():.3f} | "
            f"{each.differences.mean():.4f} | {each.flipped} of {len(each.floats)} | "
            f"{np.count_nonzero(other)} |"
        )


def _costs(arch: str, found: list[Compared]) -> Iterator[str]:
    """Yield the table of cycles, energy and memory."""
    yield f"| {arch} | cycles a frame | speedup | ideal | energy a frame | memory |"
    yield "|---|--:|--:|--:|--:|--:|"
    for each in found:
        frame, speedup = each.record["per_frame"], each.record["speedup"]
        yield (
            f"| {each.variant.name} | {frame['cycles']['mean']:,.0f} | "
            f"{speedup['achieved']:.2f} | {speedup['ideal']:.2f} | "
            f"{1e6 * frame['energy_j']['mean']:.2f} uJ | "
            f"{each.record['memory']['used'] / 1024:.0f} KiB |"
        )


main()
