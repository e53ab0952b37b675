"""The registry of metrics: each name once, every metric usable by the judge and documented for users."""

from pathlib import Path

import pytest

from vlmgate.metrics import METRICS
from vlmgate.spec import Better, Question

DOCS = Path(__file__).parent.parent / "docs" / "suite.md"
QUANTITIES = {"speed-up", "reduction", "retention", ""}


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_registered_under_its_own_name_and_documented(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name
    assert metric.quantity in QUANTITIES
    between = ("bleu_2", "bleu_3")  # the page says `bleu_1` … `bleu_4`
    assert name in between or f"`{name}`" in DOCS.read_text(encoding="utf-8")


def test_every_question_has_a_metric() -> None:
    assert {metric.question for metric in METRICS.values()} == set(Question)


def test_what_costs_is_better_lower_and_what_counts_is_better_higher() -> None:
    lower = {name for name, metric in METRICS.items() if metric.better is Better.LOWER}
    assert {"time_per_caption", "size", "peak_memory", "heap_peak", "empty_share", "length_drift"} <= lower
    assert not lower & {"bleu_4", "cider", "rouge_l", "agreement", "sparsity", "low_precision_share"}


def test_bytes_seconds_and_joules_are_the_only_units() -> None:
    assert {metric.unit for metric in METRICS.values()} == {"s", "B", "J", ""}


def test_counts_and_bytes_on_disk_need_no_statistics() -> None:
    assert all(METRICS[name].exact for name in ("size", "parameters", "sparsity", "agreement", "empty_share"))
    assert not any(METRICS[name].exact for name in ("time_per_caption", "peak_memory", "heap_peak", "cider"))
