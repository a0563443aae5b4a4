"""Recording: all of a run that does not depend on the architecture but for its arithmetic."""

import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from spusim.machine.errors import RecordingError
from spusim.program import Operand

FORMAT = 4
_META = "meta"


@dataclass(frozen=True)
class Pattern:
    """Which elements of a product's operand are not zero, frame by frame.

    bits (frames, ceil(size / 8)) uint8, the first element lowest. known (size,) bool: which of
    them the recording machine has multiplied. They stand as the network has them, whatever the
    order and the gaps of machines.
    """

    bits: np.ndarray
    known: np.ndarray

    def columns_of(self, operand: Operand, columns: int) -> np.ndarray:
        """Return (frames x windows, columns of the matrix) uint8, 1 for a nonzero.

        Raises RecordingError for an operand of another size, or elements that were not recorded.
        """
        size = len(self.known)
        if operand.size != size:
            raise RecordingError(
                f"the recording has {size} activations of product {operand.product}, and the "
                f"program has {operand.size}; record the network again"
            )
        flags, known = np.unpackbits(self.bits, axis=1, count=size, bitorder="little"), self.known
        if operand.pixels > 1:
            flags, known = flags[:, operand.order], known[operand.order]
        found = np.zeros((len(flags), len(operand.windows), columns), np.uint8)
        for at, element, count in operand.runs:
            for number, first in enumerate(operand.windows):
                part = slice(first + element, first + element + count)
                if not known[part].all():
                    raise RecordingError(
                        f"product {operand.product} reads activations that the recording lacks, "
                        "since words begin elsewhere; record on a machine with these words"
                    )
                found[:, number, at : at + count] = flags[:, part]
        return found.reshape(-1, columns)


def pattern(flags: np.ndarray, known: np.ndarray | None = None) -> Pattern:
    """Pack flags (frames, size); known (size,) bool, None: all."""
    whole = np.ones(flags.shape[1], bool) if known is None else known
    return Pattern(np.packbits(flags != 0, axis=1, bitorder="little"), whole)


def joined(one: Pattern, other: Pattern) -> Pattern:
    """Put together what cores know of one image; bits that are not known are zero."""
    return Pattern(one.bits | other.bits, one.known | other.known)


@dataclass(frozen=True)
class Recording:
    """Values and activation patterns of a network on a stream, with one arithmetic.

    network, stream, numerics: hashes of what it was made of. starts: first frame of each file.
    outputs (frames, features) int64. patterns: by product. order: the dataflow in whose order (T35)
    a convolution's sums may have overflowed, empty where every order gives the same. It can be
    pickled.
    """

    name: str
    network: str
    stream: str
    numerics: str
    starts: tuple[int, ...]
    outputs: np.ndarray
    patterns: dict[str, Pattern]
    order: str = ""

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.outputs)

    @property
    def nbytes(self) -> int:
        """Bytes of memory: a bit an activation of every operand, eight bytes an output."""
        return self.outputs.nbytes + sum(p.bits.nbytes for p in self.patterns.values())


def recorded_outputs(recording: Recording, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return a recording's outputs, of a program's `shape` (frames, features), to be read only.

    Raises RecordingError for a program whose outputs have another shape.
    """
    if recording.outputs.shape != shape:
        raise RecordingError(
            f"recording of {recording.name} has outputs {recording.outputs.shape}, program "
            f"{name} has {shape}; record the network again"
        )
    outputs = recording.outputs.view()
    outputs.flags.writeable = False
    return outputs


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
        "products": [*patterns],
        "order": recording.order,
    }
    arrays: dict[str, Any] = {}
    for number, each in enumerate(patterns.values()):
        arrays[f"pattern{number}"], arrays[f"known{number}"] = each.bits, each.known
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
            patterns = {
                name: Pattern(arrays[f"pattern{number}"], arrays[f"known{number}"])
                for number, name in enumerate(meta["products"])
            }
            told = (meta["name"], meta["network"], meta["stream"], meta["numerics"])
            starts = tuple(meta["starts"])
            return Recording(*told, starts, arrays["outputs"], patterns, meta["order"])
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise RecordingError(
            "these bytes are no recording, or a damaged one; record the network again"
        ) from error
