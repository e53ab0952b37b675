"""The loop: prepare, caption, weigh, time a look, judge it, go on with what is undecided; always ends in a Run."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from vlmgate.datasets import load_dataset
from vlmgate.judge import LOOKS, judge_run, undecided
from vlmgate.judge.estimates import PLACEBO
from vlmgate.measure import Answer, run_job
from vlmgate.metrics import degenerate, scores
from vlmgate.protocol import Message
from vlmgate.record import fingerprint
from vlmgate.run.group import Group, block_of, most_threads, seed_of, share_out
from vlmgate.run.options import Options
from vlmgate.spec import Baseline, Block, Case, CaseRecord, Environment, Failure, Question, Run, Source, VlmgateError
from vlmgate.suite import Suite, Tier, reference_of

NO_WEIGHTS = "random weights cannot caption; give real ones with --model-source hub or --model-path"

Progress = Callable[[str], None]


class Session:
    """One run in the making. Whatever interrupts it, `finish` gives a Run of what was measured."""

    def __init__(
        self,
        suite: Suite,
        tier: Tier,
        selected: Mapping[str, tuple[Question, ...]],
        options: Options,
        baselines: Mapping[str, Baseline],
        progress: Progress = lambda line: None,
    ) -> None:
        self.suite, self.tier, self.options, self.baselines, self.progress = suite, tier, options, baselines, progress
        self.selected = selected
        self.began, self.started = time.monotonic(), datetime.now(UTC)
        self.environment: Environment = fingerprint(most_threads(suite), options.root)
        self.records: dict[str, CaseRecord] = {}
        self.blocks: list[Block] = []
        self.failures: list[Failure] = []
        self.phases: dict[str, float] = {}
        self.notes: list[str] = []
        self.datasets: dict[str, str] = {}
        self.status = "interrupted"

    def measure(self) -> None:
        """Answer every selected question; speed last, so that a time budget cuts what can be cut."""
        groups = [group for group in self._groups() if self._prepare(group)]
        for group in groups:
            self._captions(group)
            self._memory(group)
        if self.options.timing:
            deadline = time.monotonic() + self.options.time_budget if self.options.time_budget else None
            for group in groups:
                self._speed(group, deadline)
        self.status = "complete"

    def finish(self, name: str) -> Run:
        """The run so far, judged."""
        run = self._run(name)
        return replace(run, verdicts=self._judge(run), seconds=time.monotonic() - self.began)

    def _judge(self, run: Run) -> Any:
        thresholds = {record.id: self.suite.thresholds_for(record.id) for record in run.cases}
        return judge_run(run, thresholds, self.suite.metrics, self.baselines, timing=self.options.timing)

    def _run(self, name: str) -> Run:
        return Run(
            name=name,
            tier=self.tier.name,
            started=self.started.isoformat(timespec="seconds"),
            seconds=time.monotonic() - self.began,
            status=self.status,
            environment=self.environment,
            suite=self.suite.sha256,
            datasets=self.datasets,
            cases=tuple(self.records.values()),
            blocks=tuple(self.blocks),
            failures=tuple(self.failures),
            verdicts=(),
            phases=self.phases | {"other": max(0.0, time.monotonic() - self.began - sum(self.phases.values()))},
            notes=tuple(self.notes),
        )

    def _groups(self) -> list[Group]:
        """Selected cases with their references (needed even when deselected: then measured, not judged)."""
        chosen = [case for case in self.tier.cases if case.id in self.selected]
        groups: dict[str, Group] = {}
        for case in chosen:
            reference = reference_of(case, self.tier.cases)
            if reference is None:
                raise VlmgateError(
                    f"{case.id}: tier {self.tier.name} has no reference for it; add the unmodified variant to the tier"
                )
            name = f"{case.model.name}/{case.dataset}"
            if name not in groups:
                of = [c.settings for c in self.tier.cases if c.dataset == case.dataset]  # not only of what is selected:
                limit = max(max(s.images, s.timed_images) for s in of)  # the sha256 must not depend on that
                beside = self.suite.path.parent / case.dataset  # a user's folder is named relative to suite.yaml
                where = str(beside) if beside.is_dir() else case.dataset
                dataset = load_dataset(where, self.options.root, self.options.cache, limit)
                self.datasets[case.dataset] = dataset.sha256
                groups[name] = Group([reference], reference, dataset)
            if case.id != reference.id:
                groups[name].cases.append(case)
        for group in groups.values():
            for case in group.cases:
                self.records[case.id] = self._record(case, group)
        return list(groups.values())

    def _record(self, case: Case, group: Group) -> CaseRecord:
        reference = "" if case.id == group.reference.id else group.reference.id
        recipe = json.loads(json.dumps(asdict(case.variant)))  # plain JSON values, as they come back from run.json
        questions = tuple(self.selected.get(case.id, ()))
        random = case.model.source is Source.RANDOM and Question.QUALITY in questions
        skips = {Question.QUALITY.value: NO_WEIGHTS} if random else {}
        settings = replace(case.settings, rounds=self.options.rounds or case.settings.rounds)
        names = (case.id, case.model.name, case.variant.name, case.dataset)
        return CaseRecord(*names, reference, questions, settings, recipe, checkpoint="", skips=skips)

    def _wanted(self, group: Group, question: Question) -> list[Case]:
        """Cases with an artefact and no failure that are asked ``question``, and the reference if any of them is."""
        asked = [case for case in group.cases if question in self.records[case.id].questions and self._alive(case)]
        if not asked or not self._alive(group.reference):
            return []
        return [group.reference, *(case for case in asked if case is not group.reference)]

    def _alive(self, case: Case) -> bool:
        record = self.records[case.id]
        return not record.failure and not record.skip

    def _update(self, case: Case, **changes: Any) -> None:
        self.records[case.id] = replace(self.records[case.id], **changes)

    def _fail(self, group: Group, failure: Failure) -> None:
        """Blame the arm that was being worked on; without one, or when it is the reference, the whole group."""
        self.failures.append(failure)
        blamed = [case for case in group.cases if case.variant.name == failure.arm and case is not group.reference]
        for case in blamed or group.cases:
            if self._alive(case):
                self._update(case, failure=failure)
        self.progress(f"{group.name}: {failure.arm or 'worker'} failed while {failure.stage}: {failure.message}")

    def _job(self, group: Group, do: str, cases: list[Case], **more: Any) -> Answer:
        settings = group.reference.settings
        arms = [
            {"name": case.variant.name, "folder": group.arms[case.variant.name]}
            for case in cases
            if case.variant.name in group.arms
        ]
        common = {
            "arms": arms,
            "threads": settings.threads,
            "batch": settings.batch,
            "new_tokens": settings.new_tokens,
            "max_tokens": settings.max_tokens,
            "image_size": settings.image_size,
            "plugins": list(self.suite.plugins),
        }
        return run_job(do, common | more, listener=self._listen(group.name), patience=self.options.patience)

    def _listen(self, name: str) -> Callable[[Message], None]:
        def hear(message: Message) -> None:
            if message["event"] == "stage" and message["stage"] in ("preparing", "fetching"):
                self.progress(f"{name}: {message['stage']} {message['arm']}".rstrip())

        return hear

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.phases[name] = self.phases.get(name, 0.0) + time.monotonic() - began

    def _prepare(self, group: Group) -> bool:
        """Artefacts of all arms, with their sizes; a failing arm is left out and the others prepared again (from the cache)."""
        with self._phase("preparing"):
            model = asdict(group.reference.model)
            while cases := [case for case in group.cases if self._alive(case)]:
                variants = [asdict(case.variant) for case in cases]
                extra = {"model": model, "variants": variants, "root": str(self.options.root), "cache": str(self.options.cache)}
                answer = self._job(group, "prepare", [], **extra)
                if not answer.failure:
                    break
                self._fail(group, answer.failure)
            else:
                return False
            for case in cases:
                data = answer.arms[case.variant.name]
                if "skip" in data:
                    self._update(case, skip=data["skip"])
                else:
                    group.arms[case.variant.name] = data["folder"]
                    self._update(case, exact=data["exact"], checkpoint=data["checkpoint"])
            if not self._alive(group.reference):
                why = self.records[group.reference.id].skip
                for case in group.cases:
                    self._update(case, skip=self.records[case.id].skip or f"the reference cannot run here: {why}")
        return self._alive(group.reference)

    def _captions(self, group: Group) -> None:
        """Captions of every arm on the same images, scored against the references and compared with the reference model's."""
        cases = self._wanted(group, Question.QUALITY)
        if not cases or group.reference.model.source is Source.RANDOM:
            return
        settings = group.reference.settings
        examples = group.dataset.examples[: settings.images]
        with self._phase("quality"):
            while cases:
                self.progress(f"{group.name}: captioning {len(examples)} images with {len(cases)} variants")
                answer = self._job(group, "caption", cases, images=[example.image for example in examples])
                for case in cases:
                    if case.variant.name in answer.arms:
                        texts = answer.arms[case.variant.name]["captions"]
                        self._score(case, group, {str(example.id): text for example, text in zip(examples, texts, strict=True)})
                if not answer.failure:
                    break
                self._fail(group, answer.failure)
                cases = [case for case in cases if self._alive(case) and not self.records[case.id].captions]

    def _score(self, case: Case, group: Group, captions: Mapping[str, str]) -> None:
        references = {str(example.id): example.references for example in group.dataset.examples}
        stats = scores.statistics(captions, references)
        totals = {name: float(value[0]) for name, value in scores.corpus(np.asarray(list(stats.values()))).items()}
        exact = dict(self.records[case.id].exact)
        exact |= {"empty_share": degenerate.empty_share(captions), "degenerate_share": degenerate.degenerate_share(captions)}
        if then := captions if case is group.reference else self.records[group.reference.id].captions:
            exact["agreement"] = degenerate.agreement(captions, then)
            exact["length_drift"] = abs(degenerate.length_ratio(captions, then) - 1)
        signature = scores.signature(len(captions), min(len(references[key]) for key in captions))
        self._update(case, captions=captions, quality=stats, scores=totals, exact=exact, signature=signature)

    def _memory(self, group: Group) -> None:
        """Peaks of every arm, each in fresh processes of its own."""
        with self._phase("memory"):
            for case in self._wanted(group, Question.MEMORY):
                if not self._alive(case):  # the reference took the group with it
                    continue
                peaks: dict[str, tuple[float, ...]] = {}
                for _ in range(case.settings.processes):
                    self.progress(f"{group.name}: memory of {case.variant.name}")
                    images = [example.image for example in group.dataset.examples[: case.settings.batch]]
                    answer = self._job(group, "memory", [case], images=images)
                    if answer.failure:
                        self._fail(group, replace(answer.failure, arm=case.variant.name))
                        break
                    for name, value in answer.arms[case.variant.name].items():
                        peaks[name] = (*peaks.get(name, ()), float(value))
                if self._alive(case):
                    self._update(case, memory=peaks)

    def _speed(self, group: Group, deadline: float | None) -> None:
        """Looks of 6, 12 and 24 blocks; after each, only the variants that are still undecided go on."""
        cases, most = self._wanted(group, Question.LATENCY), group.reference.settings.blocks
        looks = [self.options.blocks] if self.options.blocks else [n for n in LOOKS if n <= most] or [most]
        done = 0
        for look in looks:
            for index in range(done, look):
                if not any(Question.LATENCY in self.records[case.id].questions for case in cases):
                    return  # nobody asked, or whoever did has failed
                if deadline and time.monotonic() > deadline:
                    self.notes.append(f"{group.name}: the time budget ended after {index} blocks")
                    return
                cases = self._block(group, cases, index, look)
            done = look
            verdicts = self._judge(self._run(""))
            left = undecided(verdicts, {case.id for case in group.cases})
            cases = [case for case in cases if case is group.reference or case.id in left]
            if not left or not cases:
                return

    def _block(self, group: Group, cases: list[Case], index: int, look: int) -> list[Case]:
        """One block of all arms; when an arm breaks its worker, the block is done again without it. Returns the arms left."""
        settings = group.reference.settings
        images = [example.image for example in group.dataset.examples[: settings.timed_images]]
        rounds = self.options.rounds or settings.rounds
        with self._phase("timing"):
            for part in share_out(
                cases, group.reference, {case.id: self.records[case.id].exact["weight_bytes"] for case in cases}
            ):
                while len(part := [case for case in part if self._alive(case)]) and self._alive(group.reference):
                    self.progress(f"{group.name}: block {index + 1} of {look}, {len(part)} variants and the placebo")
                    arms = [{"name": case.variant.name, "folder": group.arms[case.variant.name]} for case in part]
                    arms.append({"name": PLACEBO, "folder": group.arms[group.reference.variant.name]})
                    answer = self._job(group, "block", [], arms=arms, images=images, rounds=rounds, seed=seed_of(index))
                    if not answer.failure:
                        self.blocks.append(block_of(group.name, index, answer, settings.batch))
                        break
                    self._fail(group, answer.failure)
        return [case for case in cases if self._alive(case)]
