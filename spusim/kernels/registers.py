"""Vector operations on a few numbers in a register, for use inside other kernels.

`Shorts` are eight numbers of 16 bits, which every processor has in some form. Patterns are words
of 64 bits, of which each says whether a number of an array is not zero.
"""

from spusim.kernels.declare import Deferred

FEW = 8  # numbers in `Shorts`
FULL = (1 << 16) - 1
WORD = 64  # numbers in a word of a pattern

_CODE = "spusim.kernels.registers_code"
full_shorts = Deferred(_CODE, "full_shorts")  # (): eight times the largest number
grow = Deferred(_CODE, "grow")  # (shorts, amount from 0 to FULL), up to FULL
shrink = Deferred(_CODE, "shrink")  # (shorts, array, at): less array[at : at + 8], none below 0
lowest = Deferred(_CODE, "lowest")  # of the shorts
store_shorts = Deferred(_CODE, "store_shorts")  # (shorts, array): writes them to array[:8]
# (array of int32, at): which of array[at : at + 64] are not zero, a bit each
nonzero_word = Deferred(_CODE, "nonzero_word")
ones = Deferred(_CODE, "ones")  # how many ones a word has
first_one = Deferred(_CODE, "first_one")  # the lowest one of a word, 64 of zero
last_one = Deferred(_CODE, "last_one")  # the highest one of a word that is not zero
shifted = Deferred(_CODE, "shifted")  # (int32, shift from 0 to 31): floored, in 32 bits
