"""What RunResult.memory says: the words that a program really stores, once."""

import numpy as np
import pytest

import spusim
from spusim.machine.memory import memory_use, spread_words


@pytest.mark.parametrize("arch_name", ["spu001", "row64", "eie64"])
def test_every_stored_word_is_counted_once(arch_name: str) -> None:
    arch = spusim.load_arch(arch_name)
    program = spusim.compile_network(spusim.load_network("kws"), arch)
    use = memory_use(program, arch)
    for c, image in enumerate(program.cores):
        matrices = {matrix.name for matrix in image.matrices}
        vectors = sum(words for name, _, words in image.symbols if name not in matrices)
        slices = sum(len(part) for m in image.matrices for part in m.packed.slices)
        preloaded = sum(len(part) for m in image.matrices if m.preload for part in m.packed.indices)
        kinds = {}
        for name, bank in use.items():
            if name.startswith(f"core{c}."):
                kind = next(k for k in ("data", "weight", "index", "table", "instr") if k in name)
                kinds[kind] = kinds.get(kind, 0) + bank.used_words
        assert kinds["data"] + kinds.get("weight", 0) == vectors + slices + preloaded
        assert kinds["instr"] == len(image.code)


def test_words_of_a_slice_go_round_its_pes_banks() -> None:
    # PE 1 of 2 owns banks 1 and 3 of 4: words 1 to 5 of its slice are in banks 3, 1, 3, 1, 3
    spread = spread_words(np.array([0, 1]), np.array([0, 5]), banks=4, pes=2)
    assert spread.tolist() == [0, 2, 0, 3]
