"""What one run has measured so far, and what every step of it does: ask a worker, note a failure, keep the time."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from vlmgate.judge import absent, judge_run
from vlmgate.measure import Answer, BudgetSpent, Listener, run_job
from vlmgate.protocol import Message
from vlmgate.record import fingerprint, write_run
from vlmgate.record.raw import Call, write_raw
from vlmgate.running.against import Declared
from vlmgate.running.cache import Hold
from vlmgate.running.clock import JUDGING, WRITING, Clock
from vlmgate.running.group import Group, how_to_run, most_threads
from vlmgate.running.options import Options
from vlmgate.running.progress import Progress, Say
from vlmgate.spec import Baseline, Block, Case, CaseRecord, Environment, Failure, Other, Question, Run, Verdict
from vlmgate.suite import Suite, Tier


class Partner(Protocol):
    """The other side of a run with --against."""

    def time(self, name: str, part: Sequence[Case], role: str, index: int, seed: int, left: Callable[[], float]) -> None:
        """One block of a group there, beside the one here, with so many seconds ``left``. Raises BudgetSpent."""

    def result(self) -> Other:
        """What was measured there so far."""


Selects = Callable[[str, Question], bool]  # whether a question is asked of a case id, declared in the tier or not
LONGER = 4  # times the patience where a worker builds or compiles: torch.compile alone was silent for 220 s on one busy core


class State:
    """One run in the making: its records, blocks, failures and notes."""

    def __init__(
        self,
        suite: Suite,
        tier: Tier,
        selects: Selects,
        options: Options,
        baselines: Mapping[str, Baseline],
        progress: Say = lambda line: None,
        live: Say | None = None,
    ) -> None:
        self.suite, self.tier, self.options, self.baselines = suite, tier, options, baselines
        self.tell, self.progress = Progress(progress, live), progress
        self.selects = selects
        asked = {case.id: tuple(q for q in case.questions if selects(case.id, q)) for case in tier.cases}
        self.selected = {case: questions for case, questions in asked.items() if questions}
        self.clock, self.started = Clock(), datetime.now(UTC)
        self.environment: Environment = fingerprint(most_threads(suite), options.root)
        self.records: dict[str, CaseRecord] = {}
        self.blocks: list[Block] = []
        self.calls: list[Call] = []  # of the blocks, raw
        self.failures: list[Failure] = []
        self.notes: list[str] = []
        self.datasets: dict[str, str] = {}
        self.hold = Hold()  # on what this run uses of the cache
        self.status = "interrupted"
        self.partner: Partner | None = None
        self.there: Declared | None = None  # what the other side of --against declares, once it was asked

    @property
    def absent(self) -> dict[str, tuple[Question, ...]]:
        """Case id → what is asked of it, and was answered before, and that the tier no longer declares."""
        asked = {case: tuple(q for q in known if self.selects(case, q)) for case, known in self._undeclared().items()}
        return {case: questions for case, questions in asked.items() if questions}

    @property
    def whole(self) -> bool:
        """Whether everything is asked, nothing deselected."""
        everything = [*self.tier.questions.items(), *self._undeclared().items()]
        return all(self.selects(case, question) for case, questions in everything for question in questions)

    def _undeclared(self) -> dict[str, tuple[Question, ...]]:
        there = self.there.questions if self.there else {}
        return absent(self.baselines, self.tier.name, self.tier.questions, there)

    def run(self, name: str) -> Run:
        """The run so far, not judged."""
        return Run(
            name=name,
            tier=self.tier.name,
            started=self.started.isoformat(timespec="seconds"),
            seconds=self.clock.seconds,
            status=self.status,
            environment=self.environment,
            suite=self.suite.sha256,
            datasets=self.datasets,
            cases=tuple(self.records.values()),
            blocks=tuple(self.blocks),
            failures=tuple(self.failures),
            verdicts=(),
            phases=self.clock.whole(),
            parent_cpu=self.clock.parent_cpu,
            notes=tuple(self.notes),
            whole=self.whole,
            absent=self.absent,
            other=self.partner.result() if self.partner else None,
            command=self.options.command,
        )

    def judge(self, run: Run) -> tuple[Verdict, ...]:
        """The verdicts on a run of this session."""
        thresholds = {record.id: self.suite.thresholds_for(record.id) for record in run.cases}
        timing, declared = self.options.timing, self.tier.questions
        with self.clock.phase(JUDGING):
            return judge_run(
                run, thresholds, self.suite.metrics, self.baselines, timing=timing, waivers=self.suite.waivers, declared=declared
            )

    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts on what there is so far."""
        return self.judge(self.run(""))

    def save(self) -> None:
        """Write down what there is so far, not judged, so that a kill of this process loses little."""
        if self.options.folder:
            with self.clock.phase(WRITING):
                write_run(self.run(self.options.folder.name), self.options.folder)
                write_raw(self.calls, self.options.folder)

    def keep(self, block: Block, calls: Sequence[Call]) -> None:
        """Add a block with its raw values, and write both down."""
        self.blocks.append(block)
        self.add_calls(calls)

    def add_calls(self, calls: Sequence[Call]) -> None:
        """Add raw values, also of a block that a worker did not finish, and write all down."""
        self.calls += calls
        self.save()

    def asked(self, case: Case, *questions: Question) -> bool:
        """Whether one of the questions is asked of the case, and nothing speaks against answering it."""
        record = self.records[case.id]
        return self.alive(case) and any(q in record.questions and q.value not in record.skips for q in questions)

    def wanted(self, group: Group, *questions: Question) -> list[Case]:
        """Cases with an artefact and no failure that are asked one of ``questions``, and the reference if any of them is."""
        asked = [case for case in group.cases if self.asked(case, *questions)]
        if not asked or not self.alive(group.reference):
            return []
        return [group.reference, *(case for case in asked if case is not group.reference)]

    def alive(self, case: Case) -> bool:
        """Whether nothing speaks against going on with the case."""
        record = self.records[case.id]
        return not record.failure and not record.skip

    def update(self, case: Case, **changes: Any) -> None:
        """Add to what is recorded of a case."""
        self.records[case.id] = replace(self.records[case.id], **changes)

    def fail(self, group: Group, failure: Failure) -> None:
        """Blame the arm that was being worked on; without one, or when it is the reference, the whole group."""
        self.failures.append(failure)
        blamed = [case for case in group.cases if case.variant.name == failure.arm and case is not group.reference]
        for case in blamed or group.cases:
            if self.alive(case):
                self.update(case, failure=failure)
        self.progress(f"{group.name}: {failure.arm or 'worker'} failed while {failure.stage}: {failure.message}")

    def job(
        self,
        group: Group,
        do: str,
        cases: list[Case],
        *,
        hear: Listener = lambda message: None,
        left: Callable[[], float] = lambda: math.inf,
        **more: Any,
    ) -> Answer:
        """One job with the arms of ``cases`` in a fresh worker; ``hear`` is told what the worker says.

        Raises:
            BudgetSpent: no seconds were ``left`` before it was done.
        """
        settings = group.reference.settings
        arms = [
            {"name": case.variant.name, "folder": group.arms[case.variant.name]}
            for case in cases
            if case.variant.name in group.arms
        ]
        common = {"arms": arms, "plugins": list(self.suite.plugins), **how_to_run(settings)}
        with self.clock.job(do) as keep_time:

            def listen(message: Message) -> None:
                if left() < 0:
                    raise BudgetSpent
                keep_time(message)
                self._show(group.name, message)
                hear(message)

            options = self.options
            return run_job(
                do,
                common | more,
                listener=listen,
                patience=options.patience * (LONGER if do == "prepare" or self._compiles(group) else 1),
                left=left,
                python=options.python,
                paths=options.paths,
                memory_limit=options.memory_limit,
            )

    def _compiles(self, group: Group) -> bool:
        """Whether a variant of the group compiles in each process anew, as preparing it found."""
        return any("compile_seconds" in self.records[case.id].exact for case in group.cases)

    def _show(self, name: str, message: Message) -> None:
        """Tell the stages of preparing, which may take minutes each."""
        if message["event"] == "stage" and message["stage"] in ("preparing", "fetching"):
            self.progress(f"{name}: {message['stage']} {message['arm']}".rstrip())
