"""The blocks of one model: which are still to be measured, how arms share workers, and what a worker's end means."""

import math
from typing import Any

from vlmgate.judge import TIMED
from vlmgate.judge.evidence import PLACEBO
from vlmgate.measure import Answer, BudgetSpent
from vlmgate.running.group import Group, block_of, calls_of, in_turn, lost_calls, seed_of, share_out
from vlmgate.running.progress import Pace
from vlmgate.running.state import State
from vlmgate.spec import Case, Question


class Blocks:
    """Measures blocks of one group until its ``deadline`` (on the session's clock; None: as many as are asked for)."""

    def __init__(self, state: State, group: Group, deadline: float | None) -> None:
        self.state, self.group, self.deadline = state, group, deadline
        self.pace = Pace(group.name, state.tell)
        self.role, self.done, self.planned = "", 0, 0

    def measure(self, cases: list[Case], role: str, count: int) -> list[Case]:
        """Make sure that each case has ``count`` blocks of this role, whatever was measured before; returns the cases left.

        Raises:
            BudgetSpent: the deadline has come, or would within the next block.
        """
        self.role, self.planned = role, count
        for index in range(count):
            self.done = index
            lacking = [case for case in cases if self.state.alive(case) and not self._has(case, role, index)]
            wanted = [self.group.reference, *(case for case in lacking if case is not self.group.reference)]
            if not lacking or not self._worth_it(wanted):
                continue
            parts = in_turn(share_out(wanted, self.group.reference, self._sizes(wanted), gpu_free=self.group.gpu_free), index)
            for place, part in enumerate(parts):
                self._one(part, role, index, (count - index) * len(parts) - place)
        self.done = count
        return [case for case in cases if self.state.alive(case)]

    def left(self) -> float:
        """Seconds until the deadline."""
        return math.inf if self.deadline is None else self.deadline - self.state.clock.now()

    def _has(self, case: Case, role: str, index: int) -> bool:
        return any(
            (block.model, block.role, block.index) == (self.group.name, role, index) and case.variant.name in block.times
            for block in self.state.blocks
        )

    def _worth_it(self, cases: list[Case]) -> bool:
        """Whether anybody who asked for speed is among them."""
        return self.state.alive(self.group.reference) and any(self.state.asked(case, *TIMED) for case in cases)

    def _sizes(self, cases: list[Case]) -> dict[str, float]:
        return {case.id: self.state.records[case.id].exact["weight_bytes"] for case in cases}

    def _one(self, part: list[Case], role: str, index: int, left: int) -> None:
        """One worker of the ``left`` ones to come; when an arm breaks it, the block is done again without that arm."""
        state, group = self.state, self.group
        while (part := [case for case in part if state.alive(case)]) and state.alive(group.reference):
            if part == [group.reference] and (self._has(group.reference, role, index) or not self._worth_it(part)):
                return  # all others broke, and of the reference alone nothing new is asked
            if self.pace.expected >= self.left():
                raise BudgetSpent
            word = "" if role == "look" else f"{role} "
            self.pace.begin(f"{word}block {index + 1} of {self.planned}", len(part), left)
            if state.partner and index % 2:  # in turn the first and the second
                state.partner.time(group.name, part, role, index, seed_of(index, role), self.left)
            answer = self._ask(part, role, index)
            if not answer.failure:
                settings = group.reference.settings
                block = block_of(group.name, index, answer, settings.batch, role)
                state.keep(block, calls_of(block, len(state.blocks), answer))
                if state.partner:
                    state.partner.time(group.name, part, role, index, seed_of(index, role), self.left)
                self.pace.end()
                return
            state.fail(group, answer.failure)
            state.add_calls(lost_calls(group.name, index, role, answer))

    def _ask(self, part: list[Case], role: str, index: int) -> Answer:
        settings = self.group.reference.settings
        arms = [{"name": case.variant.name, "folder": self.group.arms[case.variant.name]} for case in part]
        arms.append({"name": PLACEBO, "folder": self.group.arms[self.group.reference.variant.name]})
        images = [example.image for example in self.group.dataset.examples[: settings.timed_images]]
        rounds = self.state.options.rounds or settings.rounds
        more: dict[str, Any] = {"arms": arms, "images": images, "rounds": rounds, "seed": seed_of(index, role)}
        asked = any(self.state.asked(case, Question.ENERGY) for case in part)
        more["energy"] = self.group.reference.variant.device if asked else ""
        return self.state.job(self.group, "block", [], hear=self.pace.hear, left=self.left, **more)
