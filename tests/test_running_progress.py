"""What is told while a run goes on: a line a block in a log, one line that is overwritten on a terminal."""

import pytest

from vlmgate.running.progress import EVERY, Pace, Progress, duration


class Told:
    """A progress with a clock that is moved by hand."""

    def __init__(self, live: bool) -> None:
        self.now, self.lines, self.overwritten = 0.0, list[str](), list[str]()
        self.progress = Progress(self.lines.append, self.overwritten.append if live else None, lambda: self.now)
        self.pace = Pace("tiny/scenes", self.progress)

    def block(self, number: int, seconds: float) -> None:
        self.pace.begin(f"block {number} of 3", 2, 4 - number)
        self.now += seconds
        self.pace.end()


def test_a_log_gets_one_line_a_block_with_the_time_left() -> None:
    told = Told(live=False)
    for number, seconds in [(1, 10.0), (2, 20.0), (3, 10.0)]:
        told.pace.begin(f"block {number} of 3", 2, 4 - number)
        told.pace.hear({"event": "stage", "arm": "fp32", "stage": "timing"})
        told.now += seconds
        told.pace.end()
    assert told.lines == [
        "tiny/scenes: block 1 of 3, 2 variants and the placebo",
        "tiny/scenes: block 2 of 3, 2 variants and the placebo, about 20 s left",
        "tiny/scenes: block 3 of 3, 2 variants and the placebo, about 15 s left",
    ]
    assert not told.overwritten


def test_a_terminal_gets_a_live_line_with_block_arm_and_time_left() -> None:
    told = Told(live=True)
    told.block(1, 10.0)
    told.pace.begin("block 2 of 3", 2, 2)
    told.now += 4
    told.pace.hear({"event": "stage", "arm": "fp32", "stage": "timing"})
    told.now += 1
    told.pace.hear({"event": "tick", "done": 1, "of": 2})
    assert told.overwritten == [
        "tiny/scenes: block 2 of 3, timing fp32, about 16 s left",
        "tiny/scenes: block 2 of 3, timing fp32, 50 % of it, about 15 s left",
    ]
    assert not told.lines  # nothing that would stay


def test_the_time_left_of_the_first_block_comes_from_its_ticks() -> None:
    told = Told(live=True)
    told.pace.begin("block 1 of 3", 2, 3)
    told.now += 5
    told.pace.hear({"event": "tick", "done": 1, "of": 4})
    assert told.overwritten == ["tiny/scenes: block 1 of 3, starting, 25 % of it, about 55 s left"]


def test_the_live_line_is_not_written_more_often_than_needed() -> None:
    told = Told(live=True)
    told.pace.begin("block 1 of 3", 2, 3)
    for _ in range(1000):  # as many messages as a tiny model makes in a second
        told.now += 0.001
        told.pace.hear({"event": "stage", "arm": "fp32", "stage": "timing"})
    assert 1 <= len(told.overwritten) <= 1 + 1 / EVERY


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (45.4, "45 s"), (89, "89 s"), (100, "2 min"), (3000, "50 min"), (7500, "2 h 05 min")]
)
def test_a_guessed_time_is_told_roughly(seconds: float, words: str) -> None:
    assert duration(seconds) == words
