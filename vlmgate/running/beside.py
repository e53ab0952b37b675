"""A run with --against: everything that is measured here is measured on the other side too, blocks right after each other."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vlmgate.judge.evidence import PLACEBO
from vlmgate.record.raw import THERE
from vlmgate.running.against import Declared, Side, ask, open_side, there
from vlmgate.running.cache import AGAINST
from vlmgate.running.clock import PREPARING
from vlmgate.running.group import Group, block_of, calls_of, lost_calls
from vlmgate.running.preparing import prepare
from vlmgate.running.quality import caption
from vlmgate.running.state import State
from vlmgate.running.weighing import weigh
from vlmgate.spec import Case, CaseRecord, Dataset, Other


class Beside:
    """The other side of a session. It has artefacts of its own, prepared by its own code; images and settings are this side's."""

    def __init__(self, session: State, which: str) -> None:
        """Find the side and ask what it declares. Raises VlmgateError before anything is measured."""
        options = session.options
        self.session, self.side = session, open_side(which, options.root, options.cache, options.against_python)
        session.hold.add([self.side.tree] if self.side.tree else [])
        if session.there is None:
            session.progress(f"asking {self.side.about} what it declares")
            with session.clock.phase(PREPARING):
                session.there = ask(self.side, session.suite, session.tier.name, options.root)
        self.declared = session.there
        self.state = _state(session, self.side, self.declared)
        self.groups: dict[str, Group] = {}

    def measure(self, group: Group) -> None:
        """Artefacts, captions and peaks of the cases that both sides have; a case that fails there is only left out of the
        comparison."""
        cases = {case.id: found for case in group.cases if (found := there(case, self.declared))}
        if group.reference.id not in cases:
            self._nothing(group, f"it declares no {group.reference.id}")
            return
        mine = Group(list(cases.values()), cases[group.reference.id], _with_whole_paths(group.dataset))
        for case in mine.cases:
            self.state.records[case.id] = _record(case, self.session.records[case.id])
        self.session.progress(f"{group.name}: preparing and weighing {self.side.label}")
        if not prepare(self.state, mine):
            record = self.state.records[mine.reference.id]
            self._nothing(group, record.failure.message if record.failure else record.skip)
            return
        self.groups[group.name] = mine
        caption(self.state, mine)
        weigh(self.state, mine)

    def _nothing(self, group: Group, why: str) -> None:
        """A run that compares nothing must not look like one in which nothing changed."""
        self.session.notes.append(f"{group.name}: nothing of it is compared with {self.side.label}: {why}")
        self.session.progress(self.session.notes[-1])

    def time(self, name: str, part: Sequence[Case], role: str, index: int, seed: int, left: Callable[[], float]) -> None:
        """The other side's worker of a block: the same arms, images and turns. Arms that break it are left out.

        Raises:
            BudgetSpent: no seconds were ``left`` before it was done, and it is dropped.
        """
        if (group := self.groups.get(name)) is None:
            return
        wanted = {case.id for case in part}
        settings = group.reference.settings
        images = [example.image for example in group.dataset.examples[: settings.timed_images]]
        rounds = self.session.options.rounds or settings.rounds
        while cases := self._lacking(group, wanted, role, index):
            arms = [{"name": case.variant.name, "folder": group.arms[case.variant.name]} for case in cases]
            arms.append({"name": PLACEBO, "folder": group.arms[group.reference.variant.name]})
            more: dict[str, Any] = {"arms": arms, "images": images, "rounds": rounds, "seed": seed, "energy": ""}
            answer = self.state.job(group, "block", [], left=left, **more)
            if not answer.failure:
                block = block_of(name, index, answer, settings.batch, role)
                self.state.blocks.append(block)
                self.session.add_calls(calls_of(block, len(self.state.blocks) - 1, answer, THERE))
                return
            self.state.fail(group, answer.failure)
            self.session.add_calls(lost_calls(name, index, role, answer, THERE))

    def _lacking(self, group: Group, wanted: set[str], role: str, index: int) -> list[Case]:
        """The reference and what has no such block yet; nothing when all have one, or the reference cannot run."""
        if not self.state.alive(group.reference):
            return []
        mine = [block for block in self.state.blocks if (block.model, block.role, block.index) == (group.name, role, index)]
        done = {variant for block in mine for variant in block.times}
        cases = [case for case in group.cases if case.id in wanted and self.state.alive(case) and case.variant.name not in done]
        return [group.reference, *(case for case in cases if case is not group.reference)] if cases else []

    def result(self) -> Other:
        """What was measured on the other side so far."""
        return Other(
            self.side.label,
            self.declared.info,
            tuple(self.state.records.values()),
            tuple(self.state.blocks),
            self.declared.questions,
        )


def _state(session: State, side: Side, declared: Declared) -> State:
    cache = session.options.cache.resolve() / AGAINST / declared.key
    options = replace(session.options, root=side.root, cache=cache, folder=None, python=side.python, paths=side.paths)
    suite = replace(session.suite, plugins=declared.plugins)

    def tell(line: str) -> None:
        session.progress(f"{side.label}: {line}")

    state = State(suite, session.tier, session.selects, options, {}, tell)
    state.clock, state.hold = session.clock, session.hold  # one run: its time is told whole, what it holds is let go when it ends
    return state


def _with_whole_paths(dataset: Dataset) -> Dataset:
    """Images by absolute path: the other side's workers start in another folder."""
    examples = tuple(replace(example, image=str(Path(example.image).resolve())) for example in dataset.examples)
    return replace(dataset, examples=examples)


def _record(case: Case, now: CaseRecord) -> CaseRecord:
    """An empty record of the case there: asked the same, run alike, made by that side's recipe."""
    recipe = json.loads(json.dumps(asdict(case.variant)))
    names = (now.id, now.model, now.variant, now.dataset, now.reference)
    return CaseRecord(*names, now.questions, now.settings, recipe, checkpoint="", skips=now.skips)
