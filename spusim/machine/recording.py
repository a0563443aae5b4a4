"""Recording: all of a run that does not depend on the architecture but for its arithmetic."""

import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from spusim.machine.errors import RecordingError
from spusim.result import RunResult

FORMAT = 1
_META = "meta"


@dataclass(frozen=True)
class Pattern:
    """Which activations of a layer's operand are not zero, product after product.

    bits (products, ceil(columns / 8)) uint8, the first activation lowest. Where an operand is two
    vectors end to end, as [x | h], the first has `head` columns; a machine may leave a gap between
    them, to begin the second with a word.
    """

    bits: np.ndarray
    columns: int
    head: int

    def columns_of(self, first: int, columns: int, operand_columns: int) -> np.ndarray:
        """Return (products, columns) uint8, 1 for a nonzero, of an operand with its gap.

        Raises RecordingError for an operand that is narrower, or wider without two vectors.
        """
        gap = operand_columns - self.columns
        if gap < 0 or (gap and self.head == self.columns):
            raise RecordingError(
                f"the recording has {self.columns} activations of a product, and the program "
                f"multiplies {operand_columns}; record the network again"
            )
        flags = np.unpackbits(self.bits, axis=1, count=self.columns, bitorder="little")
        if gap:
            flags = np.insert(flags, [self.head] * gap, 0, axis=1)
        return np.ascontiguousarray(flags[:, first : first + columns])


def pattern(flags: np.ndarray, head: int, columns: int) -> Pattern:
    """Pack flags (products, operand columns), whose gap behind `head` makes up for `columns`."""
    gap = flags.shape[1] - columns
    flags = np.concatenate([flags[:, :head], flags[:, head + gap :]], axis=1)
    return Pattern(np.packbits(flags != 0, axis=1, bitorder="little"), columns, head)


@dataclass(frozen=True)
class Recording:
    """Values and activation patterns of a network on a stream, with one arithmetic.

    network, stream, numerics: hashes of what it was made of. starts: first frame of each file.
    outputs (frames, features) int64. patterns: by layer. It can be pickled.
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
        "layers": [[name, p.columns, p.head] for name, p in patterns.items()],
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
            layers = [(name, Pattern(arrays[f"pattern{k}"], columns, head))
                      for k, (name, columns, head) in enumerate(meta["layers"])]  # fmt: skip
            told = (meta["name"], meta["network"], meta["stream"], meta["numerics"])
            return Recording(*told, tuple(meta["starts"]), arrays["outputs"], dict(layers))
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise RecordingError(
            "these bytes are no recording, or a damaged one; record the network again"
        ) from error
