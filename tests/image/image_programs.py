"""A program with something of everything, and its image taken apart and put together again."""

import dataclasses
import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from spusim.formats.layout import Footprint, Layout, PackedMatrix
from spusim.image import ImageError, load_program
from spusim.isa import assemble, container, load_isa
from spusim.numerics.modes import Numerics
from spusim.program import (
    CoreImage,
    InputPort,
    Matrix,
    OutputPort,
    Program,
    Segment,
    Table,
    Thread,
    Transfer,
)

RNG = np.random.default_rng(7)
CODE = assemble("spmv 0, 8, 0\nvqs 16, 0, relu\nsend {host}, 0, 16, 1, 0\nend", "t").words


def words(count: int, word_bytes: int) -> np.ndarray:
    """Return random words (count, word_bytes) uint8."""
    return RNG.integers(0, 256, (count, word_bytes), dtype=np.uint8)


def matrix(name: str, format_name: str = "pencil", pes: int = 2) -> Matrix:
    """Return a matrix whose PEs have slices and indices of different lengths."""
    layout = Layout(format_name, pes, 64, 32, 8, group=4, pointer_bits=16, bias_bits=32)
    packed = PackedMatrix(
        layout,
        rows=12,
        columns=9,
        slices=tuple(words(5 - pe, 8) for pe in range(pes)),
        indices=tuple(words(pe, 4) for pe in range(pes)),
        bias_words=(2,) * pes,
        footprint=Footprint(100, 20, 3, 4, 5, 6),
    )
    return Matrix(name, packed, 16, base=3, index_base=0, preload=True)


def core() -> CoreImage:
    """Return a core with something of everything."""
    entries = np.arange(-8, 9, dtype=np.int32)
    return CoreImage(
        code=CODE,
        threads=(Thread("init", 3, 1), Thread("step", 0, 2)),
        matrices=(matrix("lstm"), dataclasses.replace(matrix("out", "bitmap"), home=20)),
        tables=(
            Table("tanh", entries, base=0, address_bits=4, fraction_bits=12, interpolate=True),
        ),
        segments=(Segment("scales", 40, words(3, 8)), Segment("none", 0, words(0, 8))),
        symbols=(("x", 8, 4), ("y", 16, 1)),
        comments={2: "to the host", 0: "W x — "},
        transfers=(Transfer("rows", 12, 3, 16, 56),),
    )


def program() -> Program:
    """Return a program of two cores, one of them empty of data."""
    bare = CoreImage(np.zeros(0, dtype=np.uint64), (), (), (), ())
    return Program(
        name="kws",
        isa_version=load_isa().version,
        arch_name="tiny",
        word_bits=64,
        pes=2,
        accumulators=128,
        numerics=Numerics(overflow="wrap"),
        cores=(core(), bare),
        input=InputPort((0, 1), 0, 1, 9, 16),
        outputs=(OutputPort(0, 0, 0, 12, 16),),
        init_threads=((0, 0),),
        labels=("yes", "no"),
        output_exponent=-7,
        external=(Segment("image", 4, words(5, 8)),),
        external_words=1000,
        hashes={"network": "ab", "arch": "cd"},
        layer_of={"out": "fc", "lstm": "lstm1"},
        notes=("packed as pencil",),
    )


def programs_equal(one: object, other: object) -> bool:
    """Compare records field by field: types, dtypes, shapes, values, and the order of dicts."""
    if type(one) is not type(other):
        return False
    if dataclasses.is_dataclass(one):
        names = [f.name for f in dataclasses.fields(one)]
        return all(programs_equal(getattr(one, n), getattr(other, n)) for n in names)
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape) == (other.dtype, other.shape) and np.array_equal(one, other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(programs_equal, one, other))
    if isinstance(one, dict):
        return list(one.items()) == list(other.items())
    return one == other


PROGRAM = program()
HEAD = container._HEAD_BYTES


def taken_apart(data: bytes) -> tuple[dict, bytes]:
    """Return header and sections."""
    length = struct.unpack_from("<Q", data, 12)[0]
    return json.loads(data[HEAD : HEAD + length]), data[HEAD + length :]


def signed(
    header: object, body: bytes, version: int = container.FORMAT_VERSION, sort: bool = True
) -> bytes:
    """Return a file whose hashes are right, whatever it says."""
    raw = header if isinstance(header, bytes) else json.dumps(
        header, sort_keys=sort, separators=(",", ":")).encode()  # fmt: skip
    prefix = struct.pack("<8sIQ", container.MAGIC, version, len(raw))
    return prefix + hashlib.sha256(prefix + raw).digest() + raw + body


def refusal(path: Path, data: bytes) -> str:
    """Write data and return why it is refused."""
    path.write_bytes(data)
    with pytest.raises(ImageError) as error:
        load_program(path)
    assert str(error.value).startswith(f"{path}: ")
    return str(error.value)


def section(header: dict, name: str) -> dict:
    """Return the entry of a section."""
    return next(entry for entry in header["sections"] if entry["name"] == name)


def with_section(header: dict, body: bytes, name: str, data: bytes) -> tuple[dict, bytes]:
    """Put other bytes of the same length into a section, its hash mended."""
    entry = section(header, name)
    assert len(data) == entry["length"]
    entry["sha256"] = hashlib.sha256(data).hexdigest()
    start = entry["offset"]
    return header, body[:start] + data + body[start + len(data) :]
