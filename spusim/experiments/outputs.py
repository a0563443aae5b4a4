"""What a run leaves in its output folder."""

import io

import numpy as np

from spusim.experiments.record import record_text, result_record
from spusim.experiments.store import RESULT_NAME
from spusim.result import RunResult


def output_files(result: RunResult) -> dict[str, bytes]:
    """Return name -> content: result.json, outputs.npz (`outputs`, int64), run.png, run.svg.

    The same result gives the same bytes. Raises EnergyError if no energy is attached.
    """
    # matplotlib takes long to import, and only figures need it
    from spusim.experiments.figure import run_figure
    from spusim.experiments.figures.style import image_bytes

    outputs = io.BytesIO()
    np.savez_compressed(outputs, outputs=np.asarray(result.outputs, np.int64))
    figure = run_figure(result)
    return {
        RESULT_NAME: record_text(result_record(result)).encode(),
        "outputs.npz": outputs.getvalue(),
        "run.png": image_bytes(figure, "png"),
        "run.svg": image_bytes(figure, "svg"),
    }
