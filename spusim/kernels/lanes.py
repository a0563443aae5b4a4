"""Two vector operations that loops over arrays do not reach, for use inside other kernels.

`Lanes` are 64 bytes that stay in registers from one step of a recurrence to the next: they are
LLVM vectors, which every processor has in some form. `add_wide` and its like add weighted runs of
activations two at a time, by the multiply-add of 16-bit pairs that x86 has; elsewhere they are
their twin, `lanes_code.plain_pair_adder`, which defines them.
"""

import os

import llvmlite.binding as llvm

from spusim.kernels.declare import Deferred

LANES = 64
# 16-bit places of a register -> the instruction that multiplies and adds pairs of them
MULTIPLY_ADD = {
    32: ("avx512bw", "llvm.x86.avx512.pmaddw.d.512"),
    16: ("avx2", "llvm.x86.avx2.pmadd.wd"),
    8: ("sse2", "llvm.x86.sse2.pmadd.wd"),
}


def _places() -> int:
    """Return how many 16-bit places the widest multiply-add here has, 0 without one."""
    if os.environ.get("NUMBA_CPU_NAME") or os.environ.get("NUMBA_CPU_FEATURES"):
        return 0  # compiled for another processor than this one
    features = llvm.get_host_cpu_features()
    return next((n for n, (name, _) in MULTIPLY_ADD.items() if features.get(name)), 0)


PLACES = _places()
# positions that `add_pairs` takes at once: a wide tile, and narrower ones for what is left
WIDE, NARROW, SLIM = (4 * PLACES, 2 * PLACES, PLACES) if PLACES else (64, 32, 16)

_CODE = "spusim.kernels.lanes_code"
load_lanes = Deferred(_CODE, "load_lanes")  # (array, at): array[at : at + 64] of uint8, as lanes
store_lanes = Deferred(_CODE, "store_lanes")  # (lanes, array): writes them to array[:64] of uint8
plus = Deferred(_CODE, "plus")  # of lanes; the caller knows that no sum exceeds 255
less = Deferred(_CODE, "less")  # (lanes, amount up to 255), down to zero
highest = Deferred(_CODE, "highest")  # of the lanes
# add_*(buffer int16 or int8, at, offsets int32, weights int16, begin, end, sums int32, to):
# sums[to + t] += weights[i] * buffer[at + offsets[i] + t] modulo 2**32, for begin <= i < end
# (end - begin even) and t below WIDE, NARROW or SLIM; all arrays flat and contiguous
add_wide = Deferred(_CODE, "add_wide")
add_narrow = Deferred(_CODE, "add_narrow")
add_slim = Deferred(_CODE, "add_slim")
