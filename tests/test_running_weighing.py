"""Peaks of memory."""

from collections.abc import Callable
from dataclasses import replace

from sessions import DIES, FP32, LATENCY, MEMORY, SECONDS, SLOW, Made, Place, records


def test_a_reference_that_fails_in_memory_ends_its_group(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS, {"memory": ["fp32"]})
    run = place.session({SLOW: (MEMORY, LATENCY), DIES: (MEMORY,)})
    run.measure()
    assert answers.jobs == {"prepare": 1, "memory": 1} and len(run.failures) == 1


def test_every_case_is_weighed_in_as_many_fresh_processes_as_asked_and_all_values_are_kept(
    place: Place, made: Callable[..., Made]
) -> None:
    answers = made(SECONDS)
    run = place.session({SLOW: (MEMORY,)})
    cases = [replace(case, settings=replace(case.settings, processes=3)) for case in run.tier.cases]
    run.tier = replace(run.tier, cases=tuple(cases))
    run.measure()
    assert answers.jobs == {"prepare": 1, "memory": 2 * 3}
    found = records(run.finish("three"))
    assert found[SLOW].memory == found[FP32].memory == {"peak_memory": (1e6,) * 3}
