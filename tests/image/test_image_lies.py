"""Program images whose header lies are refused, though every hash is right."""

import struct

import pytest
from image_programs import CODE, refusal, section, signed, taken_apart, with_section

from spusim.errors import SpusimError
from spusim.image import ImageError, load_program


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
