"""Which filters of a convolution one instruction computes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from spusim.arch import Arch
from spusim.compiler.errors import CompileError
from spusim.compiler.split import group_rows
from spusim.formats import weight_kind
from spusim.network.records import Convolution, Requant


@dataclass(frozen=True)
class Part:
    """Filters of a convolution that one instruction computes, and the groups they are of."""

    filters: range
    groups: range

    def of(self, node: Convolution, name: str) -> Convolution:
        """Return these filters as a convolution over the channels that they see."""
        rows = slice(self.filters.start, self.filters.stop)
        inner = node.geometry.channels // node.geometry.groups
        geometry = replace(
            node.geometry, channels=inner * len(self.groups), filters=len(self.filters),
            groups=len(self.groups),
        )  # fmt: skip
        pair = node.requant.multiplier, node.requant.shift
        requant = Requant(*(x if len(x) == 1 else x[rows] for x in pair))
        bias = None if node.bias is None else node.bias[rows]
        weight = node.weight[rows]
        return replace(
            node, name=name, weight=weight, bias=bias, geometry=geometry, requant=requant
        )


def filter_parts(
    arch: Arch, node: Convolution, activation_bits: int, filters: range
) -> Iterator[Part]:
    """Cut filters of a convolution into as many as accumulators take at once (T43).

    They are whole groups, or of one group. Raises CompileError where a PE has accumulators for not
    even one group of rows.
    """
    most = _most_filters(arch, node, activation_bits)
    per_group = node.geometry.filters // node.geometry.groups
    first = filters.start
    while first < filters.stop:
        group, inside = divmod(first, per_group)
        end = min(filters.stop, first + most)
        whole = (end - first) // per_group * per_group
        end = min(end, (group + 1) * per_group) if inside or not whole else first + whole
        yield Part(range(first, end), range(group, (end - 1) // per_group + 1))
        first = end


def _most_filters(arch: Arch, node: Convolution, activation_bits: int) -> int:
    core, group = arch.core, group_rows(arch)
    if core.dataflow == "row":
        return node.geometry.filters
    precision = f"{weight_kind(node.weight_bits, node.codebook)}x{activation_bits}"
    positions = core.lanes * core.macs_per_lane(precision)
    filters = core.accumulators // positions // group * group
    if not filters:
        raise CompileError(
            f"{arch.name}: layer {node.layer}: a PE stores rows by {group}, and "
            f"core.accumulators (={core.accumulators}) at {positions} positions hold "
            f"{core.accumulators // positions}; give it {group * positions} accumulators"
        )
    return core.pes * filters
