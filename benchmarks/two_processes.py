"""Print the seconds of a sweep on one process, and on two: `python -m benchmarks.two_processes`.

It is a program of its own because the processes of a sweep load the program that starts them: that
of the whole table would bind them to one core, and load torch.
"""

import os
import tempfile

import numpy as np

from benchmarks.sweeps import (
    FEWER_POINTS,
    MORE_FRAMES,
    PAIRS,
    THREADS,
    plain_loop,
    timed_sweep,
    write_sweep,
)


def main() -> None:
    """Time both, in turn, and print the medians."""
    for name in THREADS:
        os.environ[name] = "1"
    with tempfile.TemporaryDirectory() as folder:
        path = write_sweep(folder, FEWER_POINTS, MORE_FRAMES)
        plain_loop(path)  # compiles
        pairs = [[timed_sweep(path, jobs, k) for jobs in (1, 2)] for k in range(PAIRS)]
    one, two = np.median(pairs, axis=0).tolist()
    print(one, two)


if __name__ == "__main__":
    main()
