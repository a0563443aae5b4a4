"""Call one cached function of numba: what that costs beside `import numba`, whoever does it."""

import numba as nb
import numpy as np


@nb.njit(cache=True)
def _next(x):
    return x + 1


if __name__ == "__main__":
    _next(np.int64(1))
