"""The layer types: each file says how a layer is computed in floats, and which nodes it becomes."""

from spusim.frontend.layers.activation import ActivationModel, FloatActivation
from spusim.frontend.layers.base import FloatLayer, Job, Observer, Peaks
from spusim.frontend.layers.context import ContextModel
from spusim.frontend.layers.conv1d import Conv1dModel
from spusim.frontend.layers.linear import FloatLinear, LinearModel
from spusim.frontend.layers.lstm import FloatLstm, LstmModel
from spusim.frontend.layers.magnitude import MagnitudeModel
from spusim.frontend.layers.model import LayerModel, Model, Name, Shape, Size
from spusim.frontend.layers.pad import PadModel
from spusim.frontend.layers.pool import FloatPool, MeanTimeModel, PickTimeModel
from spusim.frontend.layers.reshape import ReshapeModel
from spusim.frontend.layers.stft import StftModel

LAYERS: dict[str, type[LayerModel]] = {
    "linear": LinearModel,
    "lstm": LstmModel,
    "relu": ActivationModel,
    "sigmoid": ActivationModel,
    "tanh": ActivationModel,
    "mean_time": MeanTimeModel,
    "max_time": PickTimeModel,
    "last_time": PickTimeModel,
    "conv1d": Conv1dModel,
    "stft": StftModel,
    "magnitude": MagnitudeModel,
    "reshape": ReshapeModel,
    "pad": PadModel,
    "context": ContextModel,
}

__all__ = [
    "LAYERS",
    "ActivationModel",
    "FloatActivation",
    "FloatLayer",
    "FloatLinear",
    "FloatLstm",
    "FloatPool",
    "Job",
    "LayerModel",
    "LinearModel",
    "LstmModel",
    "MeanTimeModel",
    "Model",
    "Name",
    "Observer",
    "Peaks",
    "PickTimeModel",
    "Shape",
    "Size",
]
