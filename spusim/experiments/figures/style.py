"""Colours, markers, line styles and fonts that all figures share, and figures as bytes."""

import io

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Tol's "muted" scheme, told apart with every common colour blindness; hatching doubles it.
MUTED = (
    "#332288", "#88CCEE", "#44AA99", "#117733", "#999933", "#DDCC77", "#CC6677", "#882255",
    "#AA4499",
)  # fmt: skip
# Okabe and Ito's, for lines: without yellow, which print loses
_LINES = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F5539",
)  # fmt: skip
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
_DASHES = ("-", (0, (5, 1.5)), (0, (4, 1.2, 1, 1.2)), (0, (1.5, 1)))
GREY = "#8C8C8C"
IDLE = "#E6E6E6"
BUSY = MUTED[0]
# cause -> colour and hatching, the same in every figure
_SOLID = (
    "load", "empty_column", "engine", "starved", "vector", "queue_full", "held", "router",
)  # fmt: skip
_HATCHED = (
    "imbalance", "drain", "pe_wait", "hazard", "port", "blocked", "message", "dispatch", "unit",
    "banks", "dma", "channel", "latency",
)  # fmt: skip
CAUSES: dict[str, tuple[str, str]] = {
    "busy": (BUSY, ""),
    "idle": (IDLE, ""),
    **{cause: (colour, "") for cause, colour in zip(_SOLID, MUTED[1:], strict=True)},
    **{cause: (MUTED[1 + n % 8], "////" if n < 8 else "xxxx") for n, cause in enumerate(_HATCHED)},
}
UNKNOWN_CAUSE = ("white", "....")
STYLE = {
    "font.size": 7,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "svg.hashsalt": "spusim",  # the same result gives the same bytes
    "svg.fonttype": "none",
}
# at the width of a column or of a page no letter is smaller than 8 points
CHART_STYLE = {
    **STYLE,
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "legend.fontsize": 8,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}
COLUMN_IN, PAGE_IN = 3.5, 7.16  # of a two-column page
TITLE_LETTERS_AN_INCH = 11.7  # of a panel's title


def colour(hue: int) -> str:
    """Return the colour of a line; -1 is grey, and what is below black."""
    return _LINES[hue % len(_LINES)] if hue >= 0 else GREY if hue == -1 else "black"


def marker(hue: int) -> str:
    """Return the marker that goes with a colour; there are fewer, so that pairs repeat late."""
    return _MARKERS[hue % len(_MARKERS)]


def dashes(dash: int) -> str | tuple[int, tuple[float, ...]]:
    """Return a line style."""
    return _DASHES[dash % len(_DASHES)]


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure on a canvas of its own, in no window."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def image_bytes(figure: Figure, kind: str, dpi: float | None = None) -> bytes:
    """Return a figure as `png` or `svg`, without date or version."""
    metadata: dict[str, None] = {"Date": None, "Creator": None} if kind == "svg" else {}
    metadata |= {"Software": None} if kind == "png" else {}
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format=kind, metadata=metadata, dpi=dpi or STYLE["savefig.dpi"])
    return buffer.getvalue()
