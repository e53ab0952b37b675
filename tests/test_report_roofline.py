"""The table of ceilings, and the words where they are not known."""

from record_samples import ENVIRONMENT
from test_report_markdown import tables

from vlmgate.record.roofline import Ceilings, machine_of
from vlmgate.report.roofline import section


def test_ceilings_by_hand() -> None:
    rates = {"fp32": 190.4e9, "int8": 778e9, "bandwidth": 37e9}
    of = Ceilings(machine_of(ENVIRONMENT), 2, rates, {"fp32": "torch.mm, 2048 × 2048"}, "2026-01-01", {"torch": "2.13.0"})
    text = section([of], {"tiny/shipped/scenes": "no | recipe"})
    (found,) = tables(text)
    assert found[0] == [
        "processor",
        "threads",
        "FP32 [GFLOP/s]",
        "BF16 [GFLOP/s]",
        "FP16 [GFLOP/s]",
        "INT8 [GOP/s]",
        "memory [GB/s]",
    ]
    assert found[2] == [ENVIRONMENT.key["isa"], "2", "190", "—", "—", "778", "37.0"]
    assert (
        f"2 threads, Test CPU, {ENVIRONMENT.key['isa']}, 2026-01-01, torch 2.13.0. Fastest: fp32: torch.mm, 2048 × 2048." in text
    )
    assert "Work not known: tiny/shipped/scenes (no \\| recipe)." in text


def test_without_ceilings_it_says_what_to_do() -> None:
    assert "`vlmgate ceilings`" in section([], {})
