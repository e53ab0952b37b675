"""The job that measures ceilings, on crumbs: what it reports, not how fast it was."""

import time
from collections.abc import Callable

from vlmgate.measure import run_job
from vlmgate.worker.ceilings import LEAST_CALLS, _best, _fastest


def test_every_type_that_torch_multiplies_here_has_a_rate_and_its_way() -> None:
    told: list[str] = []
    job = {"threads": 1, "sizes": [32, 16], "bytes": 1 << 16, "seconds": 0.001}
    answer = run_job("ceilings", job, listener=lambda message: told.append(message.get("arm", "")))
    assert answer.failure is None
    found = answer.result
    assert {"fp32", "int8", "bandwidth"} <= set(found) <= {"fp32", "bf16", "fp16", "int8", "bandwidth"}
    assert all(rate > 0 for rate, _ in found.values())
    assert found["fp32"][1] in ("torch.mm, 32 × 32", "torch.mm, 16 × 16")
    assert found["bandwidth"][1].endswith(" of 0 MB") and found["bandwidth"][1].startswith("torch.")
    assert [each for each in told if each] == ["fp32", "bf16", "fp16", "int8", "memory"]


def test_the_fastest_call_counts() -> None:
    naps = iter([0.05, 0.001, 0.03])
    assert 0.001 <= _fastest(lambda: time.sleep(next(naps)), 0.06) < 0.02
    calls: list[int] = []
    _fastest(lambda: calls.append(1), 0.0)
    assert len(calls) == LEAST_CALLS


def test_a_way_that_lags_is_not_tried_with_larger_matrices() -> None:
    sizes: list[int] = []

    def product(size: int) -> Callable[[], None]:
        sizes.append(size)
        return lambda: time.sleep(0.002)

    rate, size = _best(product, [40, 10, 20], 0.0)
    assert sizes == [10, 20, 40] and size == 40 and 0 < rate <= 2 * 40**3 / 0.002
    sizes.clear()
    assert _best(product, [10, 20], 0.0, other=1e9)[1] == 10 and sizes == [10]
