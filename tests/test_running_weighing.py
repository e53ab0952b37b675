"""Peaks of memory."""

from collections.abc import Callable

from sessions import DIES, LATENCY, MEMORY, SECONDS, SLOW, Made, Place


def test_a_reference_that_fails_in_memory_ends_its_group(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS, {"memory": ["fp32"]})
    run = place.session({SLOW: (MEMORY, LATENCY), DIES: (MEMORY,)})
    run.measure()
    assert answers.jobs == {"prepare": 1, "memory": 1} and len(run.failures) == 1
