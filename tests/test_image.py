"""Program images: exact after loading, the same bytes again, and refused when anything is off."""

import dataclasses
import hashlib
import json
import os
import resource
import struct
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim import image
from spusim.errors import SpusimError
from spusim.formats.layout import Footprint, Layout, PackedMatrix
from spusim.image import ImageError, load_program, save_program
from spusim.isa import Isa, assemble, container, load_isa, read_isa
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
from spusim.resources import shipped

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


@pytest.fixture
def path(tmp_path) -> Path:
    """Return the path of a saved program."""
    save_program(PROGRAM, tmp_path / "p.spu")
    return tmp_path / "p.spu"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """Return the bytes of a saved program."""
    path = tmp_path_factory.mktemp("whole") / "p.spu"
    save_program(PROGRAM, path)
    return path.read_bytes()


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


# what comes back


def test_a_loaded_program_is_the_saved_one(path):
    loaded = load_program(path)
    assert programs_equal(loaded, PROGRAM)
    assert list(loaded.layer_of) == ["out", "lstm"]


def test_equality_of_the_tests_sees_one_changed_byte(path):
    loaded = load_program(path)
    loaded.cores[0].matrices[1].packed.slices[1][2, 3] ^= 1
    assert not programs_equal(loaded, PROGRAM)


def test_loaded_arrays_may_be_written_to_and_share_nothing(path):
    one, other = load_program(path), load_program(path)
    one.cores[0].segments[0].words[:] = 0
    assert programs_equal(other, PROGRAM)


def test_the_same_program_is_the_same_bytes(path, whole, tmp_path):
    save_program(load_program(path), tmp_path / "again.spu")
    assert (tmp_path / "again.spu").read_bytes() == path.read_bytes() == whole
    save_program(dataclasses.replace(PROGRAM, name="kws2"), tmp_path / "other.spu")
    assert (tmp_path / "other.spu").read_bytes() != whole


def test_numpy_scalars_become_plain_ones(tmp_path):
    odd = dataclasses.replace(PROGRAM, pes=np.int64(2), output_exponent=np.int32(-7))
    save_program(odd, tmp_path / "p.spu")
    assert programs_equal(load_program(tmp_path / "p.spu"), PROGRAM)


def test_arrays_in_any_memory_order_are_saved_alike(tmp_path, whole):
    turned = dataclasses.replace(
        PROGRAM.cores[0].segments[0], words=np.asfortranarray(PROGRAM.cores[0].segments[0].words)
    )
    changed = dataclasses.replace(PROGRAM.cores[0], segments=(turned, PROGRAM.cores[0].segments[1]))
    save_program(
        dataclasses.replace(PROGRAM, cores=(changed, PROGRAM.cores[1])), tmp_path / "p.spu"
    )
    assert (tmp_path / "p.spu").read_bytes() == whole


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.text(max_size=9),
    st.dictionaries(st.integers(-5, 2**70), st.text(max_size=9), max_size=4),
    st.integers(-(2**70), 2**70),
)
def test_any_text_and_integer_comes_back(tmp_path_factory, name, comments, exponent):
    path = tmp_path_factory.mktemp("any") / "p.spu"
    cores = (dataclasses.replace(PROGRAM.cores[0], comments=comments), PROGRAM.cores[1])
    odd = dataclasses.replace(PROGRAM, name=name, cores=cores, output_exponent=exponent)
    save_program(odd, path)
    assert programs_equal(load_program(path), odd)


def test_descriptors_are_stored_as_the_isa_encodes_them(whole):
    header, body = taken_apart(whole)
    entry = section(header, "core0.matrix_records")
    assert entry["shape"] == [2, 4]
    record = struct.unpack_from("<8Q", body, entry["offset"])
    # rows | columns << 32; base; longest slice | longest index << 32
    assert record[1:4] == (12 | 9 << 32, 3, 5 | 1 << 32)
    assert record[0] & 15 == 3 and record[4] & 15 == 1  # pencil, bitmap
    table = section(header, "core0.table_records")
    assert struct.unpack_from("<Q", body, table["offset"])[0] == 4 << 16 | 12 << 20 | 1 << 25


# damage


def test_every_flipped_byte_is_refused(path, whole):
    step = max(1, len(whole) // 400)
    places = {*range(HEAD + 8), *range(HEAD, len(whole), step), len(whole) - 1}
    for place in sorted(places):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        assert refusal(path, bytes(damaged))


def test_every_truncation_is_refused(path, whole):
    for length in [*range(HEAD + 2), *range(HEAD + 2, len(whole), max(1, len(whole) // 97))]:
        reason = refusal(path, whole[:length])
        assert "truncated" in reason if length >= 8 else "is not a spusim program image" in reason


def test_bytes_after_the_end_are_refused(path, whole):
    assert "followed by bytes that are not its own" in refusal(path, whole + b"\0")


@pytest.mark.parametrize("data", [b"", b"PK\3\4" + bytes(99), b"\x89SPU\n\x1a\n" + bytes(99)])
def test_foreign_files_are_refused(path, data):
    assert "is not a spusim program image" in refusal(path, data)


def test_damaged_section_is_named(path, whole):
    header, _ = taken_apart(whole)
    entry = section(header, "program.cores[0].segments[0].words")
    place = len(whole) - sum(e["length"] for e in header["sections"]) + entry["offset"]
    damaged = whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :]
    reason = refusal(path, damaged)
    assert "section program.cores[0].segments[0].words has another sha256" in reason


@pytest.mark.parametrize("version, age", [(4, "newer"), (2, "older")])
def test_other_format_versions_are_refused(path, whole, version, age):
    reason = refusal(path, signed(*taken_apart(whole), version=version))
    assert f"has image format {version}, {age} than the 3" in reason
    assert ("update spusim" in reason) == (age == "newer")


# other instruction sets


def isa_like_ours(version: str, state: str, old: str = "", new: str = "") -> Isa:
    """Return the shipped table under another version and state, with one text changed."""
    ours = load_isa()
    text = (shipped("isa") / "spu.isa").read_text()
    text = text.replace(f"version {ours.version} {ours.state}", f"version {version} {state}")
    assert old in text
    return read_isa(text.replace(old, new, 1) if old else text, "other.isa")


def load_under(isa: Isa, path: Path, monkeypatch) -> Program:
    """Load as a spusim would that ships another table."""
    with monkeypatch.context() as patch:
        patch.setattr(image, "load_isa", lambda: isa)
        return load_program(path)


@pytest.fixture(params=["draft", "frozen"])
def stamped(request, tmp_path, monkeypatch) -> tuple[str, Path]:
    """Return a state, and the path of a program saved under a table 8.1 in that state."""
    monkeypatch.setattr(image, "load_isa", lambda: isa_like_ours("8.1", request.param))
    save_program(dataclasses.replace(PROGRAM, isa_version="8.1"), tmp_path / "p.spu")
    return request.param, tmp_path / "p.spu"


def test_other_isa_version_names_both_and_the_remedy(stamped, monkeypatch):
    state, path = stamped
    with pytest.raises(ImageError, match=r"for ISA 8\.1, this spusim has ISA 8\.2; compile"):
        load_under(isa_like_ours("8.2", state), path, monkeypatch)


def test_draft_table_must_be_the_same_and_a_frozen_one_may_mend_its_prose(stamped, monkeypatch):
    state, path = stamped
    prose = isa_like_ours("8.1", state, "Do nothing", "Do not anything")
    if state == "frozen":
        assert load_under(prose, path, monkeypatch).isa_version == "8.1"
    else:
        with pytest.raises(ImageError, match=r"another table of ISA 8\.1 \(draft\): hash"):
            load_under(prose, path, monkeypatch)


def test_other_encoding_is_refused_in_every_state(stamped, monkeypatch):
    state, path = stamped
    with pytest.raises(ImageError, match=r"another table of ISA 8\.1"):
        load_under(isa_like_ours("8.1", state, "nop   0x00", "nop   0x0f"), path, monkeypatch)


def test_image_is_refused_once_its_version_changed_state(stamped, monkeypatch):
    state, path = stamped
    other = {"draft": "frozen", "frozen": "draft"}[state]
    with pytest.raises(ImageError, match=rf"another table of ISA 8\.1 \({state}\)"):
        load_under(isa_like_ours("8.1", other), path, monkeypatch)


def test_program_for_another_isa_is_not_saved(tmp_path):
    with pytest.raises(ImageError, match=r"is for ISA 9\.9, this spusim has "):
        save_program(dataclasses.replace(PROGRAM, isa_version="9.9"), tmp_path / "p.spu")


# headers that lie, with every hash right


def lie(key: str, value: object, name: str = "program.cores[0].code"):
    """Return an edit of a section's entry."""
    return lambda header: section(header, name).update({key: value})


def in_core(key: str, edit):
    """Return an edit of a field of core 0."""
    return lambda header: edit(header["content"]["cores"][0][key])


LIES = {
    "huge shape": (lie("shape", [2**60]), "it must be at 0 with 9223372036854775808"),
    "huge length": (
        lambda h: (lie("shape", [2**60])(h), lie("length", 2**63)(h)),
        "is truncated or damaged: section program.cores[0].code of shape [1152921504606846976]",
    ),
    "huge beside empty": (
        lie("shape", [2**62, 0], "program.cores[0].segments[1].words"),
        "is truncated or damaged",
    ),
    "negative": (lie("shape", [-1, -4]), "that is none"),
    "fraction": (lie("shape", [4.0]), "that is none"),
    "truth": (lie("offset", False), "that is none"),
    "shape is text": (lie("shape", "4"), "that is none"),
    "offset": (lie("offset", 8), "it must be at 0 with 32"),
    "dtype": (lie("dtype", "|O"), "dtype '|O', it must be one of <i4, <u8, |u1"),
    "dtype is a list": (lie("dtype", ["<u8"]), "it must be one of"),
    "other dtype": (
        lambda h: (lie("dtype", "|u1")(h), lie("shape", [32])(h)),
        "must be a 1-dimensional uint64 array, it is (32,) uint8",
    ),
    "other shape": (lie("shape", [2, 2]), "it is (2, 2) uint64"),
    "name": (lie("name", "x"), "section program.cores[0].code must be"),
    "name twice": (lie("name", "core0.matrix_records"), "two sections of one name"),
    "entry": (lambda h: h["sections"].append(4), "section table entry must have"),
    "extra key": (lie("note", 1), "section table entry must have"),
    "no table": (lambda h: h.update(sections={}), "has no section table"),
    "no content": (lambda h: h.pop("content"), "header must have content, isa, sections"),
    "isa": (lambda h: h.update(isa=[]), "header.isa must have"),
    "isa hash": (lambda h: h["isa"].update(hash=5), "another table of ISA"),
    "own isa": (lambda h: h["content"].update(isa_version="9.9"), "must be its header's, "),
    "field missing": (lambda h: h["content"].pop("pes"), "program must have accumulators"),
    "field extra": (lambda h: h["content"].update(x=1), "program must have accumulators"),
    "text for int": (lambda h: h["content"].update(pes="2"), "program.pes (='2') must be int"),
    "truth for int": (lambda h: h["content"].update(pes=True), "program.pes (=True) must be int"),
    "int for text": (lambda h: h["content"].update(name=5), "program.name (=5) must be str"),
    "mode": (
        lambda h: h["content"]["numerics"].update(overflow="explode"),
        "overflow (='explode') must be one of ('saturate', 'wrap', 'nullify')",
    ),
    "mode is a list": (lambda h: h["content"]["numerics"].update(overflow=[]), "must be one of"),
    "list": (lambda h: h["content"].update(outputs={}), "program.outputs must be a list"),
    "pair": (lambda h: h["content"].update(init_threads=[[1]]), "must have 2 items, it has 1"),
    "key twice": (
        lambda h: h["content"].update(hashes=[["a", "b"], ["a", "c"]]),
        "program.hashes has a key twice",
    ),
    "section of another": (
        lambda h: h["content"]["cores"][0].update(code="program.cores[1].code"),
        "names section 'program.cores[1].code' instead of its own",
    ),
    "rows of parts": (
        in_core("matrices", lambda ms: ms[0]["packed"].update(slices=[5, 5])),
        "rows of its parts do not sum to 9",
    ),
    "negative rows": (
        in_core("matrices", lambda ms: ms[0]["packed"].update(slices=[-1, 10])),
        "rows of its parts do not sum to 9",
    ),
    "layout": (
        in_core("matrices", lambda ms: ms[0]["packed"].update(rows=13)),
        "core0.matrix_records[0] contradicts what is stored: rows 12 (stored: 13)",
    ),
    "unknown format": (
        in_core("matrices", lambda ms: ms[0]["packed"]["layout"].update(format="csr")),
        "matrix lstm: format 'csr' is not in ISA",
    ),
    "wide layout": (
        in_core("matrices", lambda ms: ms[0]["packed"]["layout"].update(weight_bits=64)),
        "matrix 'lstm': record matrix: weight_bits (=64) must be 0 to 63",
    ),
    "table": (
        in_core("tables", lambda ts: ts[0].update(address_bits=5)),
        "core0.table_records[0] contradicts what is stored: address_bits 4 (stored: 5)",
    ),
    "huge table": (
        in_core("tables", lambda ts: ts[0].update(address_bits=2**40)),
        "address_bits (=1099511627776) must be 0 to 15",
    ),
    "core lost": (lambda h: h["content"]["cores"].pop(0), "instead of its own"),
    "core too few": (lambda h: h["content"]["cores"].pop(1), "that its program does not use"),
    "thread": (in_core("threads", lambda ts: ts[0].update(entry=4)), "thread init must start in"),
    "word bits": (lambda h: h["content"].update(word_bits=32), "not words of 32 bits"),
    "pes": (lambda h: h["content"].update(pes=4), "is packed for 2 PEs of 4"),
    "bias": (
        in_core("matrices", lambda ms: ms[0]["packed"].update(bias_words=[2, 5])),
        "claims 5 bias words in a slice of 4",
    ),
}  # fmt: skip


@pytest.mark.parametrize("edit, reason", LIES.values(), ids=LIES.keys())
def test_lying_headers_are_refused(path, whole, edit, reason):
    header, body = taken_apart(whole)
    edit(header)
    assert reason in refusal(path, signed(header, body))


@pytest.mark.parametrize(
    "raw, reason",
    [
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"9" * 5000, "is not JSON"),
        (b"NaN", "is not JSON"),
        (b"{ }", "not in canonical form"),
        (b'{"a":1,"a":1}', "not in canonical form"),
        (b"[]", "header must have"),
    ],
)
def test_headers_that_are_none_are_refused(path, raw, reason):
    assert reason in refusal(path, signed(raw, b""))


def test_header_in_another_order_is_refused(path, whole):
    header, body = taken_apart(whole)
    shuffled = dict(reversed(header.items()))
    assert "not in canonical form" in refusal(path, signed(shuffled, body, sort=False))


def test_huge_header_length_is_refused_before_it_is_read(path, whole):
    data = whole[:12] + struct.pack("<Q", 2**62) + whole[20:]
    assert f"its header claims {2**62} bytes" in refusal(path, data)


def test_descriptor_words_that_contradict_the_layout_are_refused(path, whole):
    header, body = taken_apart(whole)
    entry = section(header, "core0.matrix_records")
    data = bytearray(body[entry["offset"] : entry["offset"] + entry["length"]])
    data[8] = 99  # rows of the first matrix
    edited = with_section(header, body, "core0.matrix_records", bytes(data))
    assert "[0] contradicts what is stored: rows 99 (stored: 12)" in refusal(path, signed(*edited))
    data[7] = 0x80  # a bit of no field
    edited = with_section(header, body, "core0.matrix_records", bytes(data))
    assert "belong to no field" in refusal(path, signed(*edited))


def test_code_that_does_not_decode_is_refused(path, whole):
    header, body = taken_apart(whole)
    code = CODE.copy()
    code[1] = 0x45 << 56
    edited = with_section(header, body, "program.cores[0].code", code.tobytes())
    assert "core0.code: instruction 1: word" in refusal(path, signed(*edited))


def test_missing_file_and_folder_are_image_errors(tmp_path):
    for path in (tmp_path / "none.spu", tmp_path):
        with pytest.raises(ImageError, match="cannot be read"):
            load_program(path)
    assert issubclass(ImageError, SpusimError)


# what is not saved


def with_core(**changes) -> Program:
    """Return the program with another core 0."""
    return dataclasses.replace(
        PROGRAM, cores=(dataclasses.replace(PROGRAM.cores[0], **changes), PROGRAM.cores[1])
    )


def with_matrix(**changes) -> Program:
    """Return the program with other fields of core 0's first matrix's image."""
    first = PROGRAM.cores[0].matrices[0]
    packed = dataclasses.replace(first.packed, **changes)
    return with_core(matrices=(dataclasses.replace(first, packed=packed),))


SLICES = PROGRAM.cores[0].matrices[0].packed.slices
UNSAVED = {
    "code dtype": (lambda: with_core(code=CODE.astype(np.int64)), "1-dimensional uint64 array"),
    "code list": (lambda: with_core(code=CODE.tolist()), "1-dimensional uint64 array"),
    "bad code": (lambda: with_core(code=CODE + np.uint64(1 << 55)), "core0.code: instruction 0"),
    "slice dtype": (
        lambda: with_matrix(slices=tuple(s.astype(np.int8) for s in SLICES)),
        "slices must each be a 2-dimensional uint8 array",
    ),
    "slices list": (lambda: with_matrix(slices=[*SLICES]), "slices must each be"),
    "slice width": (
        lambda: with_matrix(slices=(SLICES[0], SLICES[1][:, :4])),
        "slices must share one row size, they have [4, 8] bytes",
    ),
    "layout width": (
        lambda: with_matrix(slices=tuple(s[:, :4] for s in SLICES)),
        "not words of 64 bits",
    ),
    "PE missing": (lambda: with_matrix(slices=SLICES[:1]), "not all of its PEs are there"),
    "wide": (lambda: with_matrix(rows=2**32), "rows (=4294967296) must be 0 to"),
    "tuple": (lambda: dataclasses.replace(PROGRAM, labels=["a"]), "program.labels must be a tuple"),
    "record": (lambda: dataclasses.replace(PROGRAM, input=None), "must be a InputPort, not None"),
    "float": (lambda: dataclasses.replace(PROGRAM, pes=2.0), "program.pes (=2.0) must be int"),
    "dict": (lambda: dataclasses.replace(PROGRAM, hashes=[]), "program.hashes"),
    "table": (
        lambda: with_core(
            tables=(Table("t", np.zeros(16, dtype=np.int32), 0, 4, 8, interpolate=True),)
        ),
        "table t has 16 of 17 entries",
    ),
}


@pytest.mark.parametrize("make, reason", UNSAVED.values(), ids=UNSAVED.keys())
def test_programs_that_contradict_themselves_are_not_saved(tmp_path, make, reason):
    with pytest.raises(ImageError) as error:
        save_program(make(), tmp_path / "p.spu")
    assert reason in str(error.value)
    assert not any(tmp_path.iterdir())


# nothing half-written


@contextmanager
def file_size_limit(size: int):
    """Make the system refuse to write beyond a size, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_leaves_the_old_file_and_nothing_else(path, whole):
    with pytest.raises(ImageError, match="cannot be written"), file_size_limit(1000):
        save_program(dataclasses.replace(PROGRAM, name="new"), path)
    assert path.read_bytes() == whole
    assert [p.name for p in path.parent.iterdir()] == ["p.spu"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_interruption_leaves_the_old_file_and_nothing_else(path, whole, monkeypatch, call):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[call], interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_program(dataclasses.replace(PROGRAM, name="new"), path)
    assert path.read_bytes() == whole
    assert [p.name for p in path.parent.iterdir()] == ["p.spu"]


def test_missing_folder_is_an_image_error(tmp_path):
    with pytest.raises(ImageError, match="cannot be written"):
        save_program(PROGRAM, tmp_path / "no" / "p.spu")


def test_saved_file_has_the_users_permissions(path):
    reference = path.with_name("reference")
    reference.touch()
    assert path.stat().st_mode == reference.stat().st_mode
