"""A sweep's machines are those of their files and settings, and share what is the same."""

import json
from itertools import product

import pytest

from spusim.api import load_arch
from spusim.arch import ArchError, list_archs
from spusim.arch.document import Entry, Reader
from spusim.experiments.sweep.file import SweepError
from spusim.experiments.sweep.machines import Machines

# path -> values, one of them what many presets leave out; null takes a section back
SETTINGS = {
    "core.queue.depth": [1, 7],
    "core.queue": [{"depth": 3, "release": "done"}, None],
    "core.index_memory": [{"words": 1024, "word_bits": 64}, None],
    "clock_mhz": [33.5],
    "external_memory": [
        {"bytes_per_cycle": 2.5, "words": 1 << 20, "latency_cycles": 9},
        {"bytes": 9},
        None,
    ],
    "core.pes": [6],
}


def entry(value, origin="axis"):
    found = Reader(origin, 2, SweepError, lines=False).read(json.dumps(value))
    return Entry(None, origin, 2) if found is None else found


def told_by(name, path, value):
    """Return the machine and what is wrong with it, as `--set` gives them."""
    try:
        return load_arch(name, [f"{path}={json.dumps(value)}"]), None
    except ArchError as error:
        return None, str(error).replace(f"--set {path}={json.dumps(value)}: ", "axis: ")


@pytest.mark.parametrize("name", list_archs())
def test_a_machine_is_what_its_file_and_settings_say(name):
    machines = Machines()
    for path, value in [(path, value) for path, values in SETTINGS.items() for value in values]:
        wanted, wrong = told_by(name, path, value)
        try:
            arch, impossible, _ = machines.get(Entry(name, ""), {path: entry(value)})
        except SweepError as error:  # no such key or value on any machine
            impossible = str(error)
        if wrong is not None:
            assert impossible == wrong
        else:
            assert impossible is None and arch == wanted
            assert arch.model_dump_json() == wanted.model_dump_json()


def test_what_settings_leave_alone_is_one_object():
    machines = Machines()
    depths = [
        machines.get(Entry("spu001", ""), {"core.queue.depth": entry(depth)})[0] for depth in (1, 2)
    ]
    clocks = [machines.get(Entry("spu001", ""), {"clock_mhz": entry(mhz)})[0] for mhz in (50, 60)]
    assert depths[0].core.queue.depth == 1 and depths[1].core.queue.depth == 2
    assert depths[0].core is not depths[1].core
    assert depths[0].core.data_memory is depths[1].core.data_memory is clocks[0].core.data_memory
    assert clocks[0].core is clocks[1].core


def test_content_tells_machines_apart_but_not_their_names():
    machines = Machines()
    found = {
        (name, path, str(value)): machines.get(Entry(name, ""), {path: entry(value)})[2]
        for name, (path, value) in product(
            ("tiny", "spu001"), (("core.queue.depth", 3), ("core.queue.depth", 4), ("clock_mhz", 9))
        )
    }
    assert len(set(found.values())) == len(found) == 6
    again, _, content = Machines().get(Entry("tiny", ""), {"core.queue.depth": entry(3)})
    assert content == found["tiny", "core.queue.depth", "3"] and again.name == "tiny"
