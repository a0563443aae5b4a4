"""Hostile and damaged checkpoints: refused in one message, nothing executed, memory bounded."""

import functools
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_files import Planted, refused
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.frontend import CheckpointError, StreamError, load_state_dict, load_stream

ROOT = Path(__file__).resolve().parents[2]
WEIGHT = torch.arange(12.0).reshape(3, 4)
MOST_MEGABYTES = 1024  # of which importing torch takes about 250


# Loads torch once, then reads paths and forks a process for each, which tells its most memory.
REFUSER = """
import os, re, sys
import torch
from spusim.frontend import CheckpointError, load_state_dict

for line in sys.stdin:
    if not os.fork():
        try:
            load_state_dict(line[:-1])
        except CheckpointError:
            status = open("/proc/self/status").read()
            print(int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) // 1024, flush=True)
            os._exit(0)
        os._exit(1)
    if os.wait()[1]:
        print("failed", flush=True)
"""


@functools.cache
def refuser() -> subprocess.Popen[str]:
    """Start the process that refuses files; it ends with this one, which holds its input."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", REFUSER], env=env, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def megabytes_to_refuse(path: Path) -> int:
    """Return the most memory that a process of its own takes to refuse a file."""
    process = refuser()
    assert process.stdin and process.stdout
    process.stdin.write(f"{path}\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def rezipped(path: Path, change: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """Write a torch archive with some entries (by their last name) changed or added."""
    buffer = io.BytesIO()
    torch.save({"w": WEIGHT}, buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w", compression) as target:
        contents = {name: source.read(name) for name in source.namelist()}
        contents |= {f"archive/{name}": data for name, data in change.items()}
        for name, data in contents.items():
            target.writestr(name, data)
    return path


def claiming(count: int) -> bytes:
    """Return a pickle of {"w": a float tensor of `count` elements in storage 0}."""
    number = b"\x8a\x08" + struct.pack("<q", count)
    return (
        b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n("
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
        + number + b"tQK\x00" + number + b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRs."
    )  # fmt: skip


@pytest.mark.parametrize("form", ["zip.pt", "legacy.pt", "zip.pth.tar", "legacy.tar", "bare.pt"])
@pytest.mark.parametrize("place", ["value", "beside", "key"])
def test_planted_code_is_not_executed(tmp_path: Path, form: str, place: str) -> None:
    folder, path = tmp_path / "ran", tmp_path / form
    planted = Planted(folder)
    content = {
        "value": {"w": planted},
        "beside": {"state_dict": {"w": WEIGHT}, "args": planted},
        "key": {"w": WEIGHT, planted: 1},
    }[place]
    if form == "bare.pt":
        path.write_bytes(pickle.dumps(str(planted.folder) and planted, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form.startswith("zip"))
    refused(path, "pickled posix.mkdir", "nothing of it was loaded")
    assert not folder.exists()
    if form == "bare.pt":
        pickle.loads(path.read_bytes())
        assert folder.exists()


def test_planted_code_in_a_tar_archive(tmp_path: Path) -> None:
    path = tmp_path / "old.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "storages", "tensors", "pickle"):
            data = pickle.dumps(Planted(tmp_path / "ran"), protocol=2)
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    refused(path, "is a tar archive", "unpack it")
    assert not (tmp_path / "ran").exists()


def test_planted_code_in_a_later_pickle(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save({"w": WEIGHT}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    keys = pickle.dumps(["0"], protocol=2)
    start = max(content.rfind(pickle.dumps([key], protocol=2)[:4]) for key in ("0",))
    assert keys[:2] == content[start : start + 2]
    path.write_bytes(content[:start] + pickle.dumps(Planted(tmp_path / "ran"), protocol=2))
    refused(path, "posix.mkdir")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "call", [b"cbuiltins\neval\n", b"cbuiltins\nbytearray\n", b"cnumpy\nload\n"]
)
def test_names_beyond_plain_data(tmp_path: Path, call: bytes) -> None:
    data = b"\x80\x02" + call + b"\x8a\x05\x00\x00\x00\x00\x01\x85R."
    path = rezipped(tmp_path / "net.pt", {"data.pkl": data})
    refused(path, call[1:-1].replace(b"\n", b".").decode())


def test_names_by_newer_protocols_count_as_well(tmp_path: Path) -> None:
    data = pickle.dumps({"w": Planted(tmp_path / "ran")}, protocol=4)
    refused(rezipped(tmp_path / "net.pt", {"data.pkl": data}), "posix.mkdir")
    plain = pickle.dumps({"w": 1}, protocol=4)
    refused(rezipped(tmp_path / "net.pt", {"data.pkl": plain}), "without pickle_protocol")


@pytest.mark.parametrize("count", [2_500_000_000_000, 1_000_000_000, 13])
def test_a_tensor_that_claims_more_than_the_file(tmp_path: Path, count: int) -> None:
    path = rezipped(tmp_path / "net.pt", {"data.pkl": claiming(count)})
    refused(path, f"storage 0 claims {4 * count:,} bytes, the file has 48")


def test_a_legacy_tensor_that_claims_10_terabytes(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save({"w": WEIGHT}, path, _use_new_zipfile_serialization=False)
    with path.open("rb") as file:
        for _ in range(3):
            pickle.load(file)
        head = file.tell()
    content = path.read_bytes()
    path.write_bytes(content[:head] + claiming(2_500_000_000_000) + content[head:])
    refused(path, "claims 10,000,000,000,000 bytes")
    assert megabytes_to_refuse(path) < MOST_MEGABYTES


def test_a_safetensors_file_that_claims_10_terabytes(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    entry = {"dtype": "F32", "shape": [2_500_000, 1_000_000], "data_offsets": [0, 10**13]}
    header = json.dumps({"w": entry}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(64))
    refused(path, "not a complete safetensors file")
    assert megabytes_to_refuse(path) < MOST_MEGABYTES


def test_a_file_of_10_terabytes(tmp_path: Path) -> None:
    for suffix in (".pt", ".safetensors"):
        path = tmp_path / f"net{suffix}"
        with path.open("wb") as file:
            file.truncate(10**13)  # a hole: it takes no space on disk
        refused(path, "the file has 9,313.2 GiB", "at most 4 GiB")


@pytest.mark.parametrize("kind", ["stride", "sparse"])
def test_a_tensor_that_unfolds_to_terabytes(tmp_path: Path, kind: str) -> None:
    huge = torch.zeros(1).expand(10**6, 10**6)
    if kind == "sparse":
        huge = torch.sparse_coo_tensor(torch.tensor([[1], [1]]), torch.ones(1), (10**6, 10**6))
    path = tmp_path / "net.pt"
    torch.save({"w": huge}, path)
    refused(path, "tensor w", "unfold to 3,725.3 GiB")
    assert megabytes_to_refuse(path) < MOST_MEGABYTES


@pytest.mark.parametrize("layout", ["coo", "csr", "csc", "bsr", "bsc"])
def test_a_sparse_tensor_that_points_beyond_itself(tmp_path: Path, layout: str) -> None:
    far, path = 1 << 40, tmp_path / "net.pt"
    if layout == "coo":
        where = torch.tensor([[far], [0]])
        tensor = torch.sparse_coo_tensor(where, torch.ones(1), (2, 2), check_invariants=False)
    else:
        value = torch.ones(1) if layout.startswith("c") else torch.ones(1, 1, 1)
        make = getattr(torch, f"sparse_{layout}_tensor")
        parts = torch.tensor([0, 1, 1]), torch.tensor([far]), value
        tensor = make(*parts, (2, 2), check_invariants=False)
    torch.save({"w": tensor}, path)
    assert megabytes_to_refuse(path) < MOST_MEGABYTES  # in a process of its own: it might crash
    refused(path, "not a complete torch checkpoint")


def test_zip_bomb(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        with archive.open("archive/data/0", "w", force_zip64=True) as entry:
            chunk = bytes(1 << 24)
            for _ in range(16):
                entry.write(chunk)
    # the directory may as well claim more than it took to write
    content = path.read_bytes()
    name, size = b"archive/data/0", 1 << 28
    at = content.rindex(name) - 46
    assert content[at : at + 4] == b"PK\x01\x02"
    assert struct.unpack_from("<I", content, at + 24) == (size,)
    claimed = content[: at + 24] + struct.pack("<I", 0xFFFFFFFE) + content[at + 28 :]
    path.write_bytes(claimed + b"")
    two = tmp_path / "two.pt"
    with zipfile.ZipFile(two, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        for index in range(2):
            archive.writestr(f"archive/data/{index}", b"")
    content = two.read_bytes()
    for index in range(2):
        at = content.rindex(f"archive/data/{index}".encode()) - 46
        content = content[: at + 24] + struct.pack("<I", 0xFFFFFFFE) + content[at + 28 :]
    two.write_bytes(content)
    refused(two, "unpack to 8.0 GiB", "at most 4 GiB")
    refused(path)
    assert megabytes_to_refuse(path) < MOST_MEGABYTES


def test_two_entries_of_one_name(tmp_path: Path) -> None:
    path = rezipped(tmp_path / "net.pt", {})
    with pytest.warns(UserWarning), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
    refused(path, "two entries of one name")


def test_a_zip_that_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(path, "no torch checkpoint")


@pytest.mark.parametrize(
    "metadata",
    [
        "[",
        "{}",
        '{"steps": 3}',
        '{"steps": [1]}',
        '{"steps": [{"command": "quantize"}]}',
        "[" * 9999,
    ],
)
def test_metadata_that_spusim_never_wrote(tmp_path: Path, metadata: str) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "net.safetensors"
    save_file({"w": np.ones((2, 2), np.float32)}, path, {"spusim": metadata})
    refused(path, "write it again with `spusim quantize`")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(1, 8))
def test_damage_is_refused_or_changes_values_alone(
    tmp_path_factory: pytest.TempPathFactory, seed: int, zipped: bool, count: int
) -> None:
    """Flip bits anywhere: the file is refused, or read to finite tensors; nothing else happens."""
    path = tmp_path_factory.mktemp("damage") / "net.pt"
    torch.save({"a.w": WEIGHT, "b": torch.ones(2)}, path, _use_new_zipfile_serialization=zipped)
    rng = np.random.default_rng(seed)
    content = np.frombuffer(path.read_bytes(), dtype=np.uint8).copy()
    content[rng.integers(len(content), size=count)] ^= rng.integers(
        1, 256, size=count, dtype=np.uint8
    )
    path.write_bytes(content.tobytes())
    try:
        found = load_state_dict(path)
    except CheckpointError as error:
        assert str(path) in str(error)
    else:
        assert all(np.isfinite(values).all() for values in found.values())


def npy_claiming(shape: tuple[int, ...]) -> bytes:
    """Return an .npy file of 64 bytes of data whose header claims a shape."""
    buffer = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + bytes(64)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_stream_that_claims_terabytes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"frames{suffix}"
    data = npy_claiming((10**9, 1250))
    if suffix == ".npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("frames.npy", data)
    else:
        path.write_bytes(data)
    with pytest.raises(StreamError, match=r"claims 10,000,000,000,000 bytes"):
        load_stream(str(path))


def test_a_stream_that_is_a_zip_bomb(tmp_path: Path) -> None:
    path = tmp_path / "frames.npz"
    np.savez_compressed(path, a=np.zeros((4, 8)), b=np.zeros((4, 8)))
    content = path.read_bytes()
    for name in (b"a.npy", b"b.npy"):
        at = content.rindex(name) - 46
        content = content[: at + 24] + struct.pack("<I", 0xFFFFFFFE) + content[at + 28 :]
    path.write_bytes(content)
    with pytest.raises(StreamError, match=r"unpack to 8.0 GiB"):
        load_stream(str(path))


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02K\x01r" + struct.pack("<I", 1 << 29) + b".",  # a table of that many results
        b"\x80\x05\x96" + struct.pack("<Q", 8 << 30) + b"abc.",  # a bytearray of 8 GiB
        b"\x80\x04\x95" + struct.pack("<Q", 8 << 30) + b"abc.",  # a frame of 8 GiB
        b"\x80\x02(" + b"]" * (64 << 20) + b"l.",  # 64 million lists
        b"\x80\x02(" + b"".join(b"ca\n%x\n" % n for n in range(300_000)) + b"l.",  # classes
    ],
    ids=["results", "bytearray", "frame", "lists", "names"],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_pickle_that_would_fill_memory(tmp_path: Path, pickled: bytes, zipped: bool) -> None:
    path = tmp_path / "bomb.pt"
    if zipped:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a/data.pkl", pickled)
            archive.writestr("a/version", "3")
    else:
        path.write_bytes(pickled)
    assert megabytes_to_refuse(path) < MOST_MEGABYTES
