"""Recording: all of a run that does not depend on the architecture but for its arithmetic."""

import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from spusim.machine.errors import RecordingError
from spusim.program import Operand
from spusim.result import RunResult

FORMAT = 2
_META = "meta"


@dataclass(frozen=True)
class Pattern:
    """Which activations that a product multiplies are not zero: frames, and in them windows.

    bits (frames x windows, ceil(columns / 8)) uint8, the first activation lowest. Where machines
    leave gaps between activations is not of its concern.
    """

    bits: np.ndarray
    columns: int
    windows: int

    def columns_of(self, operand: Operand, columns: int) -> np.ndarray:
        """Return (frames x windows used, columns of the matrix) uint8, 1 for a nonzero.

        Raises RecordingError for a product of another size.
        """
        if (operand.columns, operand.windows) != (self.columns, self.windows):
            raise RecordingError(
                f"the recording has {self.windows} windows of {self.columns} activations of "
                f"product {operand.product}, and the program multiplies {operand.windows} of "
                f"{operand.columns}; record the network again"
            )
        flags = np.unpackbits(self.bits, axis=1, count=self.columns, bitorder="little")
        used = flags.reshape(-1, self.windows, self.columns)[:, operand.used]
        found = np.zeros((used.shape[0] * used.shape[1], columns), np.uint8)
        for at, first, count in operand.runs:
            found[:, at : at + count] = used[..., first : first + count].reshape(-1, count)
        return found


def pattern(flags: np.ndarray) -> Pattern:
    """Pack flags (frames, windows, columns)."""
    frames, windows, columns = flags.shape
    rows = flags.reshape(frames * windows, columns)
    return Pattern(np.packbits(rows != 0, axis=1, bitorder="little"), columns, windows)


@dataclass(frozen=True)
class Recording:
    """Values and activation patterns of a network on a stream, with one arithmetic.

    network, stream, numerics: hashes of what it was made of. starts: first frame of each file.
    outputs (frames, features) int64. patterns: by product. It can be pickled.
    """

    name: str
    network: str
    stream: str
    numerics: str
    starts: tuple[int, ...]
    outputs: np.ndarray
    patterns: dict[str, Pattern]

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.outputs)

    @property
    def nbytes(self) -> int:
        """Bytes of memory: a bit an activation of every product, eight bytes an output."""
        return self.outputs.nbytes + sum(p.bits.nbytes for p in self.patterns.values())


def recorded_outputs(recording: Recording, result: RunResult) -> np.ndarray:
    """Return a recording's outputs (frames, features) for a result; raises RecordingError."""
    if recording.outputs.shape != result.outputs.shape:
        raise RecordingError(
            f"recording of {recording.name} has outputs {recording.outputs.shape}, program "
            f"{result.name} has {result.outputs.shape}; record the network again"
        )
    return recording.outputs.copy()


def recording_bytes(recording: Recording) -> bytes:
    """Return a recording as the bytes of an `.npz` file; equal recordings give equal bytes."""
    patterns = recording.patterns
    meta = {
        "format": FORMAT,
        "name": recording.name,
        "network": recording.network,
        "stream": recording.stream,
        "numerics": recording.numerics,
        "starts": list(recording.starts),
        "products": [[name, p.columns, p.windows] for name, p in patterns.items()],
    }
    arrays: dict[str, Any] = {f"pattern{k}": p.bits for k, p in enumerate(patterns.values())}
    arrays[_META] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    arrays["outputs"] = recording.outputs
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def read_recording(data: bytes) -> Recording:
    """Return the recording of which `recording_bytes` made these; raises RecordingError."""
    try:
        with np.load(io.BytesIO(data)) as arrays:
            meta = json.loads(arrays[_META].tobytes())
            if meta["format"] != FORMAT:
                raise RecordingError(
                    f"recording has format {meta['format']}, and this version reads {FORMAT}; "
                    "record the network again"
                )
            products = [(name, Pattern(arrays[f"pattern{k}"], columns, windows))
                      for k, (name, columns, windows) in enumerate(meta["products"])]  # fmt: skip
            told = (meta["name"], meta["network"], meta["stream"], meta["numerics"])
            return Recording(*told, tuple(meta["starts"]), arrays["outputs"], dict(products))
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise RecordingError(
            "these bytes are no recording, or a damaged one; record the network again"
        ) from error
