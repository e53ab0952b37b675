"""What the constants of a graph weigh."""

from vlmgate.backends.weights import weigh


def test_bytes_bits_and_share_at_low_precision() -> None:
    assert weigh([(32, 100), (8, 300)]) == {"weight_bytes": 700.0, "bits_per_weight": 14.0, "low_precision_share": 0.75}


def test_four_bits_count_half_a_byte_and_single_numbers_are_no_low_precision_weights() -> None:
    assert weigh([(4, 98), (8, 1), (32, 1)]) == {"weight_bytes": 54.0, "bits_per_weight": 4.32, "low_precision_share": 0.98}
