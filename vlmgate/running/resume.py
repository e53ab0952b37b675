"""Going on from a run that was stopped: whether this one may, and what it takes over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vlmgate.record import differences, read_run
from vlmgate.record.raw import NO_BLOCK, Call, read_raw
from vlmgate.running.group import Group
from vlmgate.running.state import State
from vlmgate.spec import CaseRecord, Run, VlmgateError

QUALITY_EXACT = ("empty_share", "degenerate_share", "agreement", "length_drift")  # of captions, not of artefacts


@dataclass(frozen=True)
class Earlier:
    """The run that is gone on from, and its calls."""

    run: Run
    calls: Sequence[Call]

    @property
    def records(self) -> Mapping[str, CaseRecord]:
        """The records by case id."""
        return {record.id: record for record in self.run.cases}


def read_earlier(path: Path) -> Earlier:
    """The run in a run.json with the raw values beside it; those of another side that it was measured beside are left behind."""
    return Earlier(read_run(path), [call for call in read_raw(path.parent) if not call.side])


def check_same(state: State, earlier: Earlier) -> None:
    """Refuse to mix what was measured under other conditions.

    Raises:
        VlmgateError: environment, library versions, suite file, tier, images or settings differ; names each of them.
    """
    then, now = earlier.run, state.environment
    found = differences(then.environment.key, now.key)
    found += differences(then.environment.info.get("versions", {}), now.info.get("versions", {}))
    if then.suite != state.suite.sha256:
        found.append(f"{state.suite.path.name} was changed")
    if then.tier != state.tier.name:
        found.append(f"tier: {then.tier} against {state.tier.name}")
    found += [f"the images of {name} were changed" for name, sha in state.datasets.items() if then.datasets.get(name, sha) != sha]
    for case, record in state.records.items():
        if case in earlier.records:
            found += _unlike(earlier.records[case], record)
    if found:
        raise VlmgateError(f"run {then.name} cannot be resumed: {'; '.join(found)}; run without --resume")


def _unlike(then: CaseRecord, now: CaseRecord) -> list[str]:
    found = differences(vars(then.settings), vars(now.settings))
    if then.recipe != now.recipe:
        found.append("the recipe was changed")
    return [f"{now.id}: {line}" for line in found]


def take_over(state: State, group: Group, earlier: Earlier) -> None:
    """What the earlier run measured of a prepared group: captions, memory, failures and blocks.

    Raises:
        VlmgateError: a case started from other weights then.
    """
    for case in group.cases:
        then, now = earlier.records.get(case.id), state.records[case.id]
        if then is None or now.skip:
            continue
        if then.checkpoint and now.checkpoint and then.checkpoint != now.checkpoint:
            raise VlmgateError(f"run {earlier.run.name} cannot be resumed: {case.id} has other weights now; run without --resume")
        exact = {name: value for name, value in then.exact.items() if name in QUALITY_EXACT}
        taken = replace(now, captions=then.captions, quality=then.quality, scores=then.scores, signature=then.signature)
        failure = then.failure or now.failure
        state.records[case.id] = replace(taken, exact={**exact, **now.exact}, memory=then.memory, failure=failure)
    names = {case.variant.name for case in group.cases}
    state.failures += [failure for failure in earlier.run.failures if failure.arm in names and failure not in state.failures]
    state.calls += [call for call in earlier.calls if call.model == group.name and call.worker == NO_BLOCK]
    for place, block in enumerate(earlier.run.blocks):
        if block.model == group.name:
            calls = [replace(call, worker=len(state.blocks)) for call in earlier.calls if call.worker == place]
            state.blocks.append(block)
            state.calls += calls


def note(state: State, earlier: Earlier) -> str:
    """What was taken over, as a sentence of the run."""
    captions = sum(bool(record.captions) for record in state.records.values())
    memory = sum(bool(record.memory) for record in state.records.values())
    return (
        f"resumed from {earlier.run.name}: {len(state.blocks)} blocks, the captions of {captions} "
        f"and the memory of {memory} cases are from there"
    )
