"""The layer types: each file says how a layer is computed in floats, and which nodes it becomes."""

from spusim.frontend.layers.activation import ActivationModel, FloatActivation
from spusim.frontend.layers.base import FloatLayer, Job, Observer, Peaks
from spusim.frontend.layers.gru import FloatGru, GruCellModel, GruModel
from spusim.frontend.layers.linear import FloatLinear, LinearModel
from spusim.frontend.layers.lstm import FloatLstm, LstmCellModel, LstmModel
from spusim.frontend.layers.model import LayerModel, Model, Name, Shape, Size
from spusim.frontend.layers.pool import FloatPool, MeanTimeModel, PickTimeModel
from spusim.frontend.layers.rnn import FloatRnn, RnnCellModel, RnnModel

LAYERS: dict[str, type[LayerModel]] = {
    "linear": LinearModel,
    "lstm": LstmModel,
    "lstm_cell": LstmCellModel,
    "gru": GruModel,
    "gru_cell": GruCellModel,
    "rnn": RnnModel,
    "rnn_cell": RnnCellModel,
    "relu": ActivationModel,
    "sigmoid": ActivationModel,
    "tanh": ActivationModel,
    "mean_time": MeanTimeModel,
    "max_time": PickTimeModel,
    "last_time": PickTimeModel,
}

__all__ = [
    "LAYERS",
    "ActivationModel",
    "FloatActivation",
    "FloatGru",
    "FloatLayer",
    "FloatLinear",
    "FloatLstm",
    "FloatPool",
    "FloatRnn",
    "GruCellModel",
    "GruModel",
    "Job",
    "LayerModel",
    "LinearModel",
    "LstmCellModel",
    "LstmModel",
    "MeanTimeModel",
    "Model",
    "Name",
    "Observer",
    "Peaks",
    "PickTimeModel",
    "RnnCellModel",
    "RnnModel",
    "Shape",
    "Size",
]
