"""Compiled kernels: numba only, arrays in, arrays out. Their machine code is cached (cache.py)."""

from spusim.kernels.cache import compiled

__all__ = ["compiled"]
