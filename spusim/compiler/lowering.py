"""The layer types that can be compiled: how each is planned on a core, and how lowered.

A new layer type is a file with a plan record and two functions, and a line in two of these tables.
"""

from collections.abc import Callable
from typing import Any

from spusim.compiler.code import Op
from spusim.compiler.elementwise import (
    ActivationPlan,
    PoolPlan,
    lower_activation,
    lower_pool,
    plan_activation,
    plan_pool,
)
from spusim.compiler.matrix_layers import (
    LinearPlan,
    LstmPlan,
    lower_linear,
    lower_lstm,
    plan_linear,
    plan_lstm,
)
from spusim.network.records import Activation, Linear, Lstm, PoolTime

LayerPlan = LinearPlan | LstmPlan | ActivationPlan | PoolPlan

# layer type -> plan(space, layer, place)
MATRIX_PLANNING: dict[type, Callable[..., LinearPlan | LstmPlan]] = {
    Linear: plan_linear,
    Lstm: plan_lstm,
}
# layer type -> plan(space, layer, source, target or None)
ELEMENTWISE_PLANNING: dict[type, Callable[..., ActivationPlan | PoolPlan]] = {
    Activation: plan_activation,
    PoolTime: plan_pool,
}
LOWERING: dict[type, Callable[[Any], list[Op]]] = {
    LinearPlan: lower_linear,
    LstmPlan: lower_lstm,
    ActivationPlan: lower_activation,
    PoolPlan: lower_pool,
}
