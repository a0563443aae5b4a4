"""Program images are exact after loading, and the same bytes again."""

import dataclasses
import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from image_programs import PROGRAM, programs_equal, section, taken_apart

from spusim.image import load_program, save_program

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
