"""Where the time goes, told with clocks that stand still until they are moved."""

import pytest

from vlmgate.running.clock import Clock, cpu_seconds, phase_of


class Hands:
    """Wall and CPU seconds."""

    def __init__(self) -> None:
        self.wall, self.cpu = 100.0, 5.0


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def clock(hands: Hands) -> Clock:
    return Clock(lambda: hands.wall, lambda: hands.cpu)


def stage(word: str) -> dict[str, str]:
    return {"event": "stage", "arm": "fp32", "stage": word}


def test_a_block_is_told_apart_into_start_up_warm_up_and_measuring(clock: Clock, hands: Hands) -> None:
    with clock.job("block") as hear:
        for word, seconds in [("loading", 4.0), ("warming", 3.0), ("warming", 2.0), ("timing", 1.0), ("timing at batch 4", 7.0)]:
            hands.wall += seconds  # of what was before
            hear(stage(word))
        hear({"event": "tick", "done": 1, "of": 2})
        hands.wall += 30.0
    assert clock.phases == {"start-up": 7.0, "warm-up": 3.0, "measuring": 37.0}
    assert clock.whole() == clock.phases | {"other": 0.0} and clock.seconds == 47.0


def test_what_no_phase_claims_is_other(clock: Clock, hands: Hands) -> None:
    with clock.phase("judging"):
        hands.wall += 2.0
    hands.wall += 3.0
    assert clock.whole() == {"judging": 2.0, "other": 3.0}


def test_the_parent_is_watched_only_while_a_worker_times(clock: Clock, hands: Hands) -> None:
    assert clock.parent_cpu == 0.0
    with clock.job("block") as hear:
        hands.wall, hands.cpu = hands.wall + 9, hands.cpu + 4  # starting it costs what it costs
        hear(stage("warming"))
        hands.wall, hands.cpu = hands.wall + 50, hands.cpu + 0.5
    hands.cpu += 7  # judging
    assert clock.parent_cpu == 0.01
    with clock.job("caption") as hear:
        hear(stage("captioning"))
        hands.wall, hands.cpu = hands.wall + 50, hands.cpu + 5
    assert clock.parent_cpu == 0.01


@pytest.mark.parametrize(
    ("do", "word", "phase"),
    [
        ("caption", "loading", "start-up"),
        ("caption", "captioning", "quality"),
        ("memory", "starting", "start-up"),
        ("block", "preparing images", "start-up"),
        ("memory", "loading", "memory"),  # its peak is measured
        ("prepare", "fetching", "preparing"),
        ("block", "warming at batch 4", "warm-up"),
        ("block", "timing the first token", "measuring"),
        ("probe", "asking", "other"),
    ],
)
def test_each_stage_of_a_worker_has_a_phase(do: str, word: str, phase: str) -> None:
    assert phase_of(do, word) == phase


def test_a_job_that_raises_is_counted_too(clock: Clock, hands: Hands) -> None:
    with pytest.raises(KeyboardInterrupt), clock.job("caption"):
        hands.wall += 6.0
        raise KeyboardInterrupt
    assert clock.phases == {"start-up": 6.0}


def test_cpu_time_goes_on() -> None:
    before = cpu_seconds()
    sum(number * number for number in range(300_000))
    assert cpu_seconds() > before
