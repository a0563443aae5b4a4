"""The table of meanings: every mnemonic of the instruction set, and what defines it."""

from collections.abc import Callable

from spusim.golden.activation import Activation
from spusim.golden.control import (
    Operands,
    end,
    loop,
    nop,
    nset,
    post,
    pset,
    rset,
    vset,
    yield_,
    zset,
)
from spusim.golden.convolution import conv, pool
from spusim.golden.engine import dmv, dmva, spmv, spmva
from spusim.golden.external import fetch, xld, xst
from spusim.golden.transfer import recv, send
from spusim.golden.vector import (
    vadd,
    vfill,
    vlut,
    vmax,
    vmin,
    vmov,
    vmul,
    vnrm,
    vqc,
    vqm,
    vqs,
    vrelu,
    vsub,
    vthr,
    vtop,
)

MEANING: dict[str, Callable[[Activation, Operands], None]] = {
    "nop": nop,
    "end": end,
    "post": post,
    "loop": loop,
    "vset": vset,
    "zset": zset,
    "pset": pset,
    "rset": rset,
    "yield": yield_,
    "nset": nset,
    "spmv": spmv,
    "spmva": spmva,
    "dmv": dmv,
    "dmva": dmva,
    "vqs": vqs,
    "vqm": vqm,
    "vqc": vqc,
    "vnrm": vnrm,
    "vadd": vadd,
    "vsub": vsub,
    "vmul": vmul,
    "vmax": vmax,
    "vmin": vmin,
    "vmov": vmov,
    "vrelu": vrelu,
    "vlut": vlut,
    "vfill": vfill,
    "vthr": vthr,
    "vtop": vtop,
    "conv": conv,
    "pool": pool,
    "send": send,
    "recv": recv,
    "xld": xld,
    "xst": xst,
    "fetch": fetch,
}
