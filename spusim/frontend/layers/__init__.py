"""The layer types: each file says how a layer is computed in floats, and which nodes it becomes."""

from spusim.frontend.layers.activation import ActivationModel, FloatActivation
from spusim.frontend.layers.affine import AffineModel
from spusim.frontend.layers.base import FloatLayer, FloatMerge, FloatNode, Job, Observer, Peaks
from spusim.frontend.layers.batch_norm import BatchNormModel, FloatBatchNorm
from spusim.frontend.layers.clamp import ClampModel
from spusim.frontend.layers.concat import ConcatModel, FloatConcat
from spusim.frontend.layers.constant import ConstantModel
from spusim.frontend.layers.context import ContextModel
from spusim.frontend.layers.conv1d import Conv1dModel, FloatCausalConv1d, FloatConv1d
from spusim.frontend.layers.conv2d import Conv2dModel, FloatConv2d
from spusim.frontend.layers.elementwise import ElementwiseModel, FloatElementwise
from spusim.frontend.layers.flatten import FlattenModel
from spusim.frontend.layers.gru import FloatGru, GruCellModel, GruModel
from spusim.frontend.layers.l2_norm import L2NormModel
from spusim.frontend.layers.linear import FloatLinear, LinearModel
from spusim.frontend.layers.lstm import FloatLstm, LstmCellModel, LstmModel
from spusim.frontend.layers.magnitude import MagnitudeModel
from spusim.frontend.layers.model import (
    LayerModel,
    MergeModel,
    Model,
    Name,
    NodeModel,
    Shape,
    Size,
)
from spusim.frontend.layers.pad import PadModel
from spusim.frontend.layers.pool import FloatPool, MeanTimeModel, PickTimeModel
from spusim.frontend.layers.pool2d import FloatPool2d, GlobalPoolModel, Pool2dModel
from spusim.frontend.layers.pool_positions import PoolPositionsModel
from spusim.frontend.layers.prelu import LeakyReluModel, PreluModel
from spusim.frontend.layers.prune import FloatPrune, PruneThresholdModel, PruneTopModel
from spusim.frontend.layers.reshape import ReshapeModel
from spusim.frontend.layers.rnn import FloatRnn, RnnCellModel, RnnModel
from spusim.frontend.layers.slice import FloatSlice, SliceModel
from spusim.frontend.layers.stft import StftModel

LAYERS: dict[str, type[NodeModel]] = {
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
    "conv1d": Conv1dModel,
    "stft": StftModel,
    "magnitude": MagnitudeModel,
    "reshape": ReshapeModel,
    "pad": PadModel,
    "context": ContextModel,
    "hardsigmoid": ActivationModel,
    "relu6": ClampModel,
    "hardtanh": ClampModel,
    "clamp": ClampModel,
    "prelu": PreluModel,
    "leaky_relu": LeakyReluModel,
    "affine": AffineModel,
    "batch_norm": BatchNormModel,
    "l2_norm": L2NormModel,
    "constant": ConstantModel,
    "mean_positions": PoolPositionsModel,
    "max_positions": PoolPositionsModel,
    "prune_threshold": PruneThresholdModel,
    "prune_top": PruneTopModel,
    "add": ElementwiseModel,
    "subtract": ElementwiseModel,
    "multiply": ElementwiseModel,
    "maximum": ElementwiseModel,
    "minimum": ElementwiseModel,
    "concat": ConcatModel,
    "slice": SliceModel,
    "conv2d": Conv2dModel,
    "max_pool2d": Pool2dModel,
    "avg_pool2d": Pool2dModel,
    "global_pool": GlobalPoolModel,
    "flatten": FlattenModel,
}

__all__ = [
    "LAYERS",
    "ActivationModel",
    "ConcatModel",
    "ElementwiseModel",
    "FloatActivation",
    "FloatBatchNorm",
    "FloatCausalConv1d",
    "FloatConcat",
    "FloatConv1d",
    "FloatConv2d",
    "FloatElementwise",
    "FloatGru",
    "FloatLayer",
    "FloatLinear",
    "FloatLstm",
    "FloatMerge",
    "FloatNode",
    "FloatPool",
    "FloatPool2d",
    "FloatPrune",
    "FloatRnn",
    "FloatSlice",
    "GruCellModel",
    "GruModel",
    "Job",
    "LayerModel",
    "LinearModel",
    "LstmCellModel",
    "LstmModel",
    "MeanTimeModel",
    "MergeModel",
    "Model",
    "Name",
    "NodeModel",
    "Observer",
    "Peaks",
    "PickTimeModel",
    "RnnCellModel",
    "RnnModel",
    "Shape",
    "Size",
    "SliceModel",
]
