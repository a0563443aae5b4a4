"""Program images that are damaged, cut short or foreign are refused."""

import pytest
from image_programs import HEAD, refusal, section, signed, taken_apart

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
