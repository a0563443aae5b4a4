"""Shared weights: the few values that the weights of a matrix are replaced by.

Imported when it is needed: scipy's clustering takes the better part of a second to load.
"""

import warnings

import numpy as np
from scipy.cluster.vq import kmeans2

_STEPS = 50


def cluster_means(values: np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` ascending means of values (n,) float64, by k-means.

    It starts from evenly spaced means, which keeps the rare large weights (Han et al., Deep
    Compression, ICLR 2016), and so has one result. Values that are few enough are their own means.
    """
    distinct = np.unique(values)
    if len(distinct) <= most:
        return distinct
    values = np.sort(values)  # sums then do not depend on where in a matrix weights stand
    starts = np.linspace(distinct[0], distinct[-1], most)[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a cluster without weights stays where it is
        means, _ = kmeans2(values[:, None], starts, iter=_STEPS, minit="matrix")
    return np.unique(means)
