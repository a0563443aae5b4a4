"""A short run of the shipped keyword spotter, made once; and the helpers of the sweeps' tests."""

import sys
from pathlib import Path

import pytest

from spusim.experiments.case import run_case
from spusim.experiments.targets import open_case

sys.path.insert(0, str(Path(__file__).parent))  # tests import plain modules beside them


@pytest.fixture(scope="session")
def spotted():
    """Four files of three frames each, in two cores of eight PEs; with its baseline."""
    return run_case(open_case("kws"), "random:density=0.6,frames=3,files=4,seed=5")


@pytest.fixture(scope="session")
def alone():
    """A single file of one frame, without a baseline."""
    return run_case(open_case("kws"), "random:frames=1", baseline=False)
