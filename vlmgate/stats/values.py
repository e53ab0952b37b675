"""Block values: what one block of paired times says, as a natural logarithm."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def block_value(reference: npt.ArrayLike, variant: npt.ArrayLike) -> float:
    """The log speed-up of one block: mean over images of the median over rounds of ln t_reference − ln t_variant.

    Both are (images, rounds) in seconds and paired cell by cell. Raises ValueError for different or empty shapes and for
    times that are not finite and positive.
    """
    before, after = _log_times(reference), _log_times(variant)
    if before.shape != after.shape:
        raise ValueError(f"reference and variant must be paired by image and round: shapes {before.shape} and {after.shape}")
    return float(np.median(before - after, axis=1).mean())


def log_time(times: npt.ArrayLike) -> float:
    """Mean over images of the median over rounds of ln t; ``times`` (images, rounds) in seconds. Raises as ``block_value``."""
    return float(np.median(_log_times(times), axis=1).mean())


def _log_times(times: npt.ArrayLike) -> Array:
    seconds = np.asarray(times, dtype=np.float64)
    if seconds.ndim != 2 or not seconds.size:
        raise ValueError(f"times must be [image][round] with at least one of each, not of shape {seconds.shape}")
    if not (np.isfinite(seconds).all() and (seconds > 0).all()):
        raise ValueError("times must be finite and above zero")
    return np.log(seconds)


def finite(values: npt.ArrayLike) -> Array:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1:
        raise ValueError(f"values must be one row of numbers, not of shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("values must be finite: a nan or inf stands for a broken measurement, which is no estimate")
    return x
