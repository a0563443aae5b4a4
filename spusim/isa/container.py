"""The file of a program image: a header stamped with the ISA, and named arrays, all under sha256.

    magic 8 bytes | format version u32 | header length u64 | header sha256 32 bytes
    header (canonical JSON) | sections, one after another

Numbers are little-endian. The header's sha256 covers the bytes before it, and the header. The
header holds `isa` (version, state and hashes of the table), `content` (whatever JSON the program
is told in) and `sections` (name, dtype, shape, offset from the end of the header, length, sha256).
Nothing may follow the last section, and nothing lies between sections.
"""

import hashlib
import json
import math
import os
import secrets
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from spusim.errors import SpusimError
from spusim.isa.spec import Isa

MAGIC = b"\x89SPU\r\n\x1a\n"  # as PNG's: damaged by every usual text conversion
FORMAT_VERSION = 3  # 3: transfers, matrices at home, and what external memory holds at first
DTYPES = ("<i4", "<u8", "|u1")
ADVICE = "compile the program again"

_PREFIX = struct.Struct("<8sIQ")
_HEAD_BYTES = _PREFIX.size + hashlib.sha256().digest_size
_ENTRY_KEYS = {"name", "dtype", "shape", "offset", "length", "sha256"}


class ImageError(SpusimError):
    """A program that cannot be saved, or a file that is no image of one."""


def write_container(
    path: Path, isa: Isa, content: object, arrays: Mapping[str, np.ndarray]
) -> None:
    """Write a file that appears whole or not at all; the same input gives the same bytes.

    content: what JSON can tell; arrays: of DTYPES. Raises ImageError if it cannot be written.
    """
    table, chunks, offset = [], [], 0
    for name, array in arrays.items():
        # arrays are native; the file is little-endian
        chunk = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        table.append(
            {
                "name": name,
                "dtype": array.dtype.newbyteorder("<").str,
                "shape": list(array.shape),
                "offset": offset,
                "length": len(chunk),
                "sha256": hashlib.sha256(chunk).hexdigest(),
            }
        )
        chunks.append(chunk)
        offset += len(chunk)
    header = _canonical({"isa": _stamp(isa), "content": content, "sections": table})
    _write_whole(path, [_head(header), header, *chunks])


def read_container(path: Path, isa: Isa) -> tuple[Any, dict[str, np.ndarray]]:
    """Return content and arrays of a file; raises ImageError with the reason and the remedy.

    Nothing is allocated on the word of a header that claims more than the file has.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            header = _read_header(file, size)
            _check_isa(isa, header["isa"])
            return header["content"], _read_arrays(file, header["sections"], size - file.tell())
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    except OSError as error:
        raise ImageError(
            f"{path}: cannot be read ({error.strerror}); check path and permission"
        ) from error


def expect_keys(content: Any, keys: set[str], where: str) -> None:
    """Raise ImageError unless content is a JSON object with exactly these keys."""
    if not isinstance(content, dict) or set(content) != keys:
        found = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise ImageError(f"{where} must have {', '.join(sorted(keys))}, it has {found}; {ADVICE}")


def _canonical(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _head(header: bytes) -> bytes:
    prefix = _PREFIX.pack(MAGIC, FORMAT_VERSION, len(header))
    return prefix + hashlib.sha256(prefix + header).digest()


def _stamp(isa: Isa) -> dict[str, str]:
    return {
        "version": isa.version,
        "state": isa.state,
        "hash": isa.hash,
        "encoding_hash": isa.encoding_hash,
    }


def _read_header(file: BinaryIO, size: int) -> dict[str, Any]:
    """Return the header's content; file is then at the first section."""
    head = file.read(_HEAD_BYTES)
    if head[: len(MAGIC)] != MAGIC:
        raise ImageError("is not a spusim program image; give a file made by `spusim compile`")
    if len(head) < _HEAD_BYTES:
        raise ImageError(f"is truncated in its first {_HEAD_BYTES} bytes; copy it again")
    _, version, length = _PREFIX.unpack(head[: _PREFIX.size])
    if version != FORMAT_VERSION:
        newer = version > FORMAT_VERSION
        raise ImageError(
            f"has image format {version}, {'newer' if newer else 'older'} than the "
            f"{FORMAT_VERSION} that this spusim reads; {'update spusim, or ' * newer}{ADVICE}"
        )
    if length > size - _HEAD_BYTES:
        raise ImageError(
            f"is truncated or damaged: its header claims {length} bytes, the file has "
            f"{size - _HEAD_BYTES} left; copy it again, or {ADVICE}"
        )
    header = file.read(length)
    if _head(header) != head:
        raise ImageError(f"is damaged: its header's sha256 is wrong; copy it again, or {ADVICE}")
    return _parse_header(header)


def _parse_header(header: bytes) -> dict[str, Any]:
    try:
        content = json.loads(header)
        canonical = _canonical(content) == header
    except (ValueError, RecursionError) as error:
        raise ImageError(f"has a header that is not JSON ({error}); {ADVICE}") from error
    if not canonical:
        raise ImageError(f"has a header that is not in canonical form; {ADVICE}")
    expect_keys(content, {"isa", "content", "sections"}, "header")
    return dict(content)


def _check_isa(isa: Isa, stamp: Any) -> None:
    ours = _stamp(isa)
    expect_keys(stamp, set(ours), "header.isa")
    if stamp["version"] != isa.version:
        raise ImageError(
            f"was made for ISA {stamp['version']}, this spusim has ISA {isa.version}; {ADVICE}"
        )
    # a frozen table may only mend its prose; a draft's meanings may still change. Both hashes
    # cover the state, so that an image of the draft is refused once the version is frozen.
    key = "hash" if isa.state == "draft" else "encoding_hash"
    if stamp[key] != ours[key]:
        raise ImageError(
            f"was made with another table of ISA {isa.version} ({stamp['state']}): {key} "
            f"{str(stamp[key])[:12]}, here {ours[key][:12]} ({isa.state}); {ADVICE}"
        )


def _read_arrays(file: BinaryIO, table: Any, size: int) -> dict[str, np.ndarray]:
    """Return all sections, once the whole table adds up to the `size` bytes that are left."""
    if not isinstance(table, list):
        raise ImageError(f"has no section table; {ADVICE}")
    offset = 0
    for entry in table:
        _check_entry(entry, offset, size)
        offset += entry["length"]
    if offset != size:
        what = "truncated" if offset > size else "followed by bytes that are not its own"
        raise ImageError(
            f"is {what}: its sections have {offset} bytes, the file has {size} for them; "
            f"copy it again, or {ADVICE}"
        )
    if len({entry["name"] for entry in table}) < len(table):
        raise ImageError(f"has two sections of one name; {ADVICE}")
    return {entry["name"]: _read_array(file, entry) for entry in table}


def _check_entry(entry: Any, offset: int, size: int) -> None:
    expect_keys(entry, _ENTRY_KEYS, "section table entry")
    name, shape = entry["name"], entry["shape"]
    if not isinstance(name, str) or entry["dtype"] not in DTYPES:
        raise ImageError(
            f"section {name!r} has dtype {entry['dtype']!r}, it must be one of "
            f"{', '.join(DTYPES)}; {ADVICE}"
        )
    numbers = [entry["offset"], entry["length"], *shape] if isinstance(shape, list) else [None]
    if any(type(n) is not int or n < 0 for n in numbers):
        raise ImageError(f"section {name} has shape {shape} or place that is none; {ADVICE}")
    length = math.prod(shape) * np.dtype(entry["dtype"]).itemsize
    if (entry["offset"], entry["length"]) != (offset, length):
        raise ImageError(
            f"section {name} is at {entry['offset']} with {entry['length']} bytes, it must be at "
            f"{offset} with {length} (shape {shape} of {entry['dtype']}); {ADVICE}"
        )
    # one dimension may be huge beside an empty one, which numpy would refuse in its own words
    if length > size - offset or max(shape, default=0) > max(size, _HEAD_BYTES):
        raise ImageError(
            f"is truncated or damaged: section {name} of shape {shape} has {length} bytes, the "
            f"file {size - offset} for it; copy it again, or {ADVICE}"
        )


def _read_array(file: BinaryIO, entry: dict[str, Any]) -> np.ndarray:
    data = file.read(entry["length"])
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise ImageError(
            f"is damaged: section {entry['name']} has another sha256 than its table says; "
            f"copy it again, or {ADVICE}"
        )
    array = np.frombuffer(data, dtype=entry["dtype"]).reshape(entry["shape"])
    return array.astype(array.dtype.newbyteorder("="))  # a copy, which may be written to


def _write_whole(path: Path, chunks: list[bytes]) -> None:
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ImageError(
            f"{path}: cannot be written ({error.strerror}); check folder, space and permission"
        ) from error
    finally:
        part.unlink(missing_ok=True)
