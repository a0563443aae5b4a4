"""The layer types: each file says how a layer is computed in floats, and which nodes it becomes."""

from spusim.frontend.layers.activation import FloatActivation
from spusim.frontend.layers.base import FloatLayer, Job, Observer, Peaks
from spusim.frontend.layers.linear import FloatLinear
from spusim.frontend.layers.lstm import FloatLstm
from spusim.frontend.layers.pool import FloatPool
from spusim.frontend.layers.prune import FloatPrune

__all__ = [
    "FloatActivation",
    "FloatLayer",
    "FloatLinear",
    "FloatLstm",
    "FloatPool",
    "FloatPrune",
    "Job",
    "Observer",
    "Peaks",
]
