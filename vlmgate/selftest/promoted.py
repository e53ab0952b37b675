"""Promote → next run: baselines as `vlmgate promote` writes and reads them, and the run before a change that they are made of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vlmgate.judge import judge_run
from vlmgate.metrics import METRICS
from vlmgate.record import add_occasion, load_baselines, promote
from vlmgate.record.baselines import baseline_of, chosen, commit_of
from vlmgate.record.fitness import unfit
from vlmgate.record.occasions import levels, with_occasion
from vlmgate.running.stored import block_values, contaminated_cases
from vlmgate.spec import Baseline, Block, CaseRecord, Run, Threshold, VlmgateError

REASON = "self-check"


def promoted(run: Run, again: Iterable[Run] = ()) -> tuple[dict[str, Baseline], str]:
    """Case id → baseline, written to files as `vlmgate promote` does and read again; and why it took force ("" where not).

    ``again`` are further occasions of it; a contaminated one is left out, since it would be refused.
    """
    values, bad, refused = block_values(run), contaminated_cases(run, {}), ""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        try:
            promote(run, root, cases=None, reason=REASON, force=False, block_values=values, also_unfit=bad)
        except VlmgateError as error:
            refused = str(error)
            promote(run, root, cases=None, reason=REASON, force=True, block_values=values, also_unfit=bad)
        for other in again:
            if not contaminated_cases(other, load_baselines(root, run.environment)):
                add_occasion(other, root, cases=None, block_values=block_values(other))
        return load_baselines(root, run.environment), refused


def in_memory(run: Run, again: Iterable[Run] = ()) -> dict[str, Baseline]:
    """The same baselines without lock, files and schema, which cost ten times as long as judging the run that follows."""
    values, bad = block_values(run), contaminated_cases(run, {})
    made: dict[str, Baseline] = {}
    for record in chosen(run, None):
        mine = values.get(record.id, {})
        made[record.id] = baseline_of(run, record, mine, REASON, [*unfit(run, record, mine, None), *bad.get(record.id, ())], None)
    for other in again:
        if not contaminated_cases(other, made):
            seen = block_values(other)
            made = {case: with_occasion(one, other.name, commit_of(other), levels(seen[case])) for case, one in made.items()}
    return made


def before(run: Run, reference: str, copy: str, thresholds: Mapping[str, Sequence[Threshold]]) -> Run:
    """The run as it was before the changes: every case has the values of the reference, and the times of its second copy."""
    clean = next(record for record in run.cases if record.variant == reference)
    changed = {record.variant for record in run.cases} - {reference}
    cases = tuple(record if record is clean else _like(clean, record) for record in run.cases)
    blocks = tuple(_unchanged(block, changed, copy) for block in run.blocks if block.role in ("look", "retry"))
    made = replace(run, cases=cases, blocks=blocks, failures=(), verdicts=())
    return replace(made, verdicts=judge_run(made, thresholds, METRICS, {}))


def _like(clean: CaseRecord, record: CaseRecord) -> CaseRecord:
    """The case with the reference's value for all that was measured of it."""

    def same(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in theirs.items() if name in mine}

    return replace(
        record,
        failure=None,
        recipe=clean.recipe,
        exact=same(clean.exact, record.exact),
        memory=same(clean.memory, record.memory),
        captions=same(clean.captions, record.captions),
        quality=same(clean.quality, record.quality),
        scores=same(clean.scores, record.scores),
    )


def _unchanged(block: Block, changed: set[str], copy: str) -> Block:
    """The block with the copy's times for every changed arm; without these where the copy did not run any more."""
    times = {arm: block.times.get(copy, ()) if arm in changed else rounds for arm, rounds in block.times.items()}
    return replace(block, times={arm: rounds for arm, rounds in times.items() if rounds})
