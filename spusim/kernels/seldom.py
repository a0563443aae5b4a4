"""What a kernel says of itself, so that LLVM leaves it out of those that call it.

Code that is seldom reached, in the midst of code that always is, costs more than a call: a frame
of a small network goes through as many instructions as a first-level cache holds.
"""

from spusim.kernels.declare import Deferred

_CODE = "spusim.kernels.seldom_code"
# (): the function that calls this is not part of its callers; results are the same
apart = Deferred(_CODE, "apart")
# (): and whoever calls it does so hardly ever, so that LLVM puts that aside, too
seldom = Deferred(_CODE, "seldom")
