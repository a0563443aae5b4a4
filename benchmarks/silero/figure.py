"""The probability of speech over time: PyTorch's floats against the simulated machine."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from benchmarks.silero.compare import THRESHOLD, Compared
from spusim.experiments.figures.style import CHART_STYLE, GREY
from spusim.network import Stream

FRAME_S = 512 / 16_000
FLOAT, SIMULATED = "#0072B2", "#D55E00"


def save_figure(found: list[Compared], speech: Stream, path: Path) -> None:
    """Draw the first clip's wave, and below it the probabilities of every variant."""
    end = speech.starts[1] if len(speech.starts) > 1 else len(speech.frames)
    time = FRAME_S * (np.arange(end) + 1)
    with matplotlib.rc_context(CHART_STYLE):
        figure = Figure(figsize=(7.0, 1.0 + 1.2 * len(found)), layout="constrained")
        heights = [0.6] + [1.0] * len(found)
        panels = figure.subplots(1 + len(found), 1, sharex=True, height_ratios=heights)
        wave = speech.frames[:end].ravel()
        panels[0].plot(np.arange(len(wave)) / 16_000, wave, color=GREY, linewidth=0.3)
        panels[0].set_title(f"speech: {speech.names[0]}")
        panels[0].set_yticks([])
        for axes, each in zip(panels[1:], found, strict=True):
            axes.plot(time, each.floats[:end], color=FLOAT, linewidth=1.8, label="float (PyTorch)")
            axes.plot(time, each.simulated[:end], color=SIMULATED, linewidth=0.8, label="simulated")
            axes.axhline(THRESHOLD, color=GREY, linewidth=0.5)
            axes.set_ylim(-0.02, 1.02)
            axes.set_ylabel("probability")
            off = each.differences
            told = f"{off.max():.3f} apart at most, {off.mean():.4f} on average"
            axes.set_title(f"{each.variant.name}: {told}")
        panels[1].legend(loc="lower center", ncols=2)
        panels[-1].set_xlabel("seconds")
        figure.savefig(path, dpi=160)
