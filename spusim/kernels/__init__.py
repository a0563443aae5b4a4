"""Compiled kernels: numba only, arrays in, arrays out. Their machine code is cached (cache.py)."""

import numba

from spusim.kernels.cache import LOCATORS, compiled

numba.config.CACHE_LOCATOR_CLASSES = LOCATORS  # before any kernel is declared

__all__ = ["compiled"]
