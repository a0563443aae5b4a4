"""The compiler: from a quantised Network and an Arch to a Program."""

from spusim.compiler.conv_layer import compile_conv_layer
from spusim.compiler.errors import CompileError
from spusim.compiler.explain import explain
from spusim.compiler.layer import compile_layer
from spusim.compiler.network import compile_network

__all__ = ["CompileError", "compile_conv_layer", "compile_layer", "compile_network", "explain"]
