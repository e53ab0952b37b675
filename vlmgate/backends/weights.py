"""What the constants of a graph weigh: bytes, bits a weight, share in 8 bits or fewer."""

from collections.abc import Iterable


def weigh(constants: Iterable[tuple[int, int]]) -> dict[str, float]:
    """Exact metrics of (bits a value, number of values) of every constant; single numbers are no weights of low precision.

    Returns:
        weight_bytes, bits_per_weight and low_precision_share, as in METRICS.
    """
    bits, low, weights = 0, 0, 0
    for width, count in constants:
        bits += width * count
        low += count if width <= 8 and count > 1 else 0
        weights += count
    return {"weight_bytes": bits / 8, "bits_per_weight": bits / weights, "low_precision_share": low / weights}
