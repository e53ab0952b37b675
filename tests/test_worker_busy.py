"""A worker beside busy neighbours: its blocks complete, arms that take turns stay comparable, and the record says what it shared.

The neighbours rest at first and spin from the middle of a block on. So one block holds both what adjacent turns say of two copies
of an arm, and what timing one copy after the other would have said: the first before the load, the second under it.
"""

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from jobs import job
from load import neighbours
from tiny import save_tiny_blip

from vlmgate.artefacts import build_artefact
from vlmgate.measure import run_job
from vlmgate.models import BLIP_PARTS
from vlmgate.protocol import Message
from vlmgate.selftest import Entry, recording
from vlmgate.spec import Model, Source
from vlmgate.stats import block_value
from vlmgate.variants import VARIANTS

ROUNDS = 8
EACH = 3  # neighbours on a core: they leave a thread there a quarter of it
ADJACENT, APART = math.log(1.25), math.log(1.5)  # two copies differ by less in turns, and by more one after the other
MANY = 8.0  # times as long as before

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="keeping to cores needs Linux")


@dataclass
class Halves:
    """A block of two copies of an arm whose neighbours began to spin in its middle."""

    entry: Entry
    parent: float  # share of a core that this process used

    def times(self, arm: str, late: bool) -> list[list[float]]:
        """[image][round] of half the rounds."""
        half = slice(ROUNDS // 2, None) if late else slice(None, ROUNDS // 2)
        return [list(rounds[half]) for rounds in self.entry.block.times[arm]]

    @property
    def adjacent(self) -> float:
        """How much longer the second copy took than the first (logarithm), by turns."""
        return -block_value(self.entry.block.times["fp32"], self.entry.block.times["placebo"])

    @property
    def one_after_the_other(self) -> float:
        """The same, had the first been timed before the load and the second under it."""
        return -block_value(self.times("fp32", late=False), self.times("placebo", late=True))

    @property
    def slowed(self) -> float:
        """By which factor the first copy was slowed down when the neighbours began to spin."""
        return math.exp(-block_value(self.times("fp32", late=False), self.times("fp32", late=True)))


@pytest.fixture
def cores() -> Iterator[list[int]]:
    """Two cores at most, to which all that this process starts is kept."""
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(usable)[:2])
    yield sorted(usable)[:2]
    os.sched_setaffinity(0, usable)


@pytest.fixture
def halves(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Halves]:
    """Measure a block as the bank does, with neighbours on the given cores that begin to spin in the middle of it."""

    def block(asked: Message, on: list[int], each: int = EACH) -> Halves:
        with neighbours(on, each) as spin:

            def hear(message: Message) -> None:
                if message["event"] == "tick" and message["done"] == message["of"] // 2:
                    spin()

            monkeypatch.setattr(recording, "run_job", partial(run_job, listener=hear))
            began, wall = time.process_time(), time.monotonic()
            entry = recording.measure("tiny/scenes", 1, asked, 0)  # which raises where the block does not complete
            return Halves(entry, (time.process_time() - began) / (time.monotonic() - wall))

    return block


@pytest.mark.parametrize("affinity", ["pin", "inherit"])
def test_copies_that_take_turns_stay_near_each_other_while_a_neighbour_comes(
    affinity: str, halves: Callable[..., Halves], cores: list[int], tricks: Path, arm: Callable[..., Message]
) -> None:
    """Pinned to the core on which the neighbours spin, and free to move between cores that are all busy."""
    asked = job(tricks, arms=[arm("fp32"), arm("placebo", "fp32")], rounds=ROUNDS, affinity=affinity, new_tokens=12)
    seen = halves(asked, cores[:1] if affinity == "pin" else cores)
    assert abs(seen.adjacent) < ADJACENT < APART < seen.one_after_the_other
    block = seen.entry.block
    assert (block.threads, list(block.affinity)) == (1, cores[:1] if affinity == "pin" else cores)
    assert all(len(rounds) == ROUNDS for images in block.times.values() for rounds in images)
    assert seen.entry.others > 0.1, "the share of cores that others used stands beside the block"
    assert seen.parent < 0.1, "it waits on a pipe"


def test_two_threads_that_wait_passively_are_not_halted_by_a_neighbour_of_one(
    halves: Callable[..., Halves], cores: list[int], tmp_path: Path
) -> None:
    """Threads that spin while they wait for the one whose core is shared take tens of times as long as before."""
    if len(cores) < 2:
        pytest.skip("two threads need two cores")
    checkpoint = save_tiny_blip(tmp_path / "checkpoint", width=256, side=224, neurons=512)  # whose products are worth two threads
    model = Model("tiny", "blip", Source.LOCAL, str(checkpoint), BLIP_PARTS)
    build_artefact(model, VARIANTS["fp32"], checkpoint, tmp_path / "fp32")
    arms = [{"name": name, "folder": str(tmp_path / "fp32")} for name in ("fp32", "placebo")]
    passive = {"OMP_WAIT_POLICY": "PASSIVE"}
    asked = job(tmp_path, arms=arms, rounds=ROUNDS, plugins=[], threads=2, affinity="pin", environment=passive)
    seen = halves(asked, cores[1:])
    block = seen.entry.block
    assert (block.threads, dict(block.waiting)) == (2, passive)
    assert seen.slowed < MANY and abs(seen.adjacent) < ADJACENT
