"""What a benchmark test holds: the verdicts on one case and question, as outcomes of pytest."""

from typing import Any

import pytest

from vlmgate.judge.sentences import last_words
from vlmgate.plugin.state import State
from vlmgate.report.benchmark import ReplayTimer, replay, show_nothing
from vlmgate.report.terminal import plain, reason_of_skip
from vlmgate.spec import CaseRecord, Outcome, Question, Verdict

UNRESOLVED: "pytest.StashKey[bool]" = pytest.StashKey()


class Gate:
    """What a benchmark test holds: one case and one question."""

    def __init__(self, state: State, item: pytest.Item, case: str, question: Question, timer: ReplayTimer | None) -> None:
        self.state, self.item, self.case, self.question, self.timer = state, item, case, question, timer

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts on this case and question, in the order of suite.yaml."""
        run = self.state.run
        return [v for v in run.verdicts if v.case == self.case and v.question is self.question] if run else []

    def replay(self, benchmark: Any) -> None:
        """Show this case's times, those of all blocks, in pytest-benchmark's table and files."""
        run, variant = self.state.run, self.case.split("/")[1]
        group = self.case.replace(f"/{variant}/", "/", 1)
        blocks = [block for block in run.blocks if block.model == group and variant in block.times] if run else []
        times = [seconds for block in blocks for image in block.times[variant] for seconds in image]
        if not times:
            show_nothing(benchmark)
            return
        extra = {"case": self.case, "blocks": len(blocks), "verdict": self._worst().value, "run": str(self.state.folder)}
        assert self.timer is not None
        replay(benchmark, self.timer, times, extra)

    def check(self) -> None:
        """Fail, skip or pass as the verdicts say; a failure names every missed line, and the last ones of a worker's log."""
        verdicts, worst = self.verdicts, self._worst()
        if worst is Outcome.FAIL:
            missed = dict.fromkeys(v.sentence for v in verdicts if v.outcome is Outcome.FAIL)  # a crash misses every line alike
            pytest.fail("\n".join([*missed, *self._log()]), pytrace=False)
        if worst is Outcome.UNRESOLVED:
            words = "\n".join(v.sentence for v in verdicts if v.outcome is Outcome.UNRESOLVED)
            if self.state.config.getoption("vlmgate_strict"):
                self.state.untold += 1
                pytest.fail(f"{words}\n(--gate-strict: what cannot be told is a failure)", pytrace=False)
            self.item.stash[UNRESOLVED] = True
            pytest.skip(words)
        if worst is Outcome.WAIVED:
            pytest.xfail("\n".join(v.sentence for v in verdicts if v.outcome is Outcome.WAIVED))
        if worst is Outcome.SKIP:
            # without the names of case and metric, pytest's summary folds equal reasons into one line
            pytest.skip("; ".join(dict.fromkeys(map(reason_of_skip, verdicts))) or self._why_unasked())

    def _record(self) -> CaseRecord | None:
        cases = self.state.run.cases if self.state.run else ()
        return next((record for record in cases if record.id == self.case), None)

    def _log(self) -> list[str]:
        """The last lines of the worker in which this case broke, set in below a head."""
        record = self._record()
        lines = last_words(record.failure) if record and record.failure else []
        return ["the last lines of its log:", *(f"    {plain(line)}" for line in lines)] if lines else []

    def _why_unasked(self) -> str:
        """Why there is no verdict at all: the case or the question was skipped, or suite.yaml holds no line about it."""
        record = self._record()
        reason = record and (record.skip or record.skips.get(self.question.value))
        return reason or f"no threshold in suite.yaml asks about {self.question.value}"

    def _worst(self) -> Outcome:
        found = {v.outcome for v in self.verdicts}
        return next((o for o in (Outcome.FAIL, Outcome.UNRESOLVED, Outcome.WAIVED, Outcome.PASS) if o in found), Outcome.SKIP)
