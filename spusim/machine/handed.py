"""Instructions that the compiled clock hands to the machine: convolutions and poolings."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from spusim.arch.spec import Arch
from spusim.kernels.arithmetic import NULLIFY, STOCHASTIC
from spusim.kernels.context import address_offset
from spusim.kernels.layout import Given, Op, P, X
from spusim.machine.errors import MachineError
from spusim.machine.load import LoadedCore
from spusim.machine.progress import tell
from spusim.numerics.convolution import missing_modes
from spusim.program import Window

if TYPE_CHECKING:
    from spusim.machine.convolution import ConvUnit
    from spusim.machine.pooling import PoolUnit


class HandedInstructions:
    """Executes a core's instructions whose work is too large, and too rare, for the interpreter."""

    def __init__(self, core: LoadedCore, arch: Arch):
        self.core, self._arch = core, arch
        self._numbers = np.cumsum(core.arrays.code[:, 0] >= Op.CONVOLVE)
        params = core.arrays.params
        self._lacking = missing_modes(
            bool(params[P.ROUNDING] == STOCHASTIC),
            bool((params[[P.ACC_OVERFLOW, P.RESULT_OVERFLOW]] == NULLIFY).any()),
            bool(params[P.PARTIAL_EVERY]),
        )

    @cached_property
    def _conv(self) -> "ConvUnit":
        from spusim.machine.convolution import ConvUnit  # most programs have no convolutions

        return ConvUnit(self.core, self._arch)

    @cached_property
    def _pool(self) -> "PoolUnit":
        from spusim.machine.pooling import PoolUnit

        return PoolUnit(self.core, self._arch)

    def run(self, row: np.ndarray, context: np.ndarray) -> None:
        """Execute the instruction of a code row, in a thread's context; raises MachineError."""
        if self._lacking:
            raise MachineError(self._lacking)
        arrays = self.core.arrays
        offset = int(address_offset(context))
        op, _, w, *operands = row.tolist()
        window = self._window(w)
        tell(window.name, int(self._numbers[context[X.PC]]), int(self._numbers[-1]))
        if op == Op.CONVOLVE:
            m, d, a, table, *_ = operands
            cycles, accesses = self._conv.run(window, m, d + offset, a + offset, table)
        else:
            d, a, *_ = operands
            cycles, accesses = self._pool.run(window, d + offset, a + offset)
        arrays.bank_busy[:] += accesses
        banks = sum(1 << int(bank) for bank in np.flatnonzero(accesses))
        held = banks - (1 << 64) if banks >= 1 << 63 else banks  # as the kernels' signed masks
        arrays.given[[Given.READY, Given.CYCLES, Given.BANKS]] = 1, cycles, held

    def _window(self, w: int) -> Window:
        windows = self.core.image.windows
        if w >= len(windows):
            raise MachineError("the program has no such window")
        return windows[w]
