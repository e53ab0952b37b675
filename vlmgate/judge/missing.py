"""Cases that had a baseline and are gone: no longer declared in their tier, or skipped where they ran before."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from vlmgate.judge.energy import ENERGY
from vlmgate.judge.evidence import TIME
from vlmgate.spec import Against, Baseline, CaseRecord, Outcome, Question, Run, Verdict

MISSING = "missing"  # the name of the gate
REASON = "a case that vanishes must not look like a case that passes"


def questions_of(baseline: Baseline) -> tuple[Question, ...]:
    """The questions that a baseline answers."""
    held = {
        Question.LATENCY: bool(baseline.blocks.get(TIME)),
        Question.MEMORY: bool(baseline.memory),
        Question.SIZE: bool(baseline.exact),
        Question.QUALITY: bool(baseline.scores),
        Question.ENERGY: bool(baseline.blocks.get(ENERGY)),
    }
    return tuple(question for question, there in held.items() if there)


def absent(baselines: Mapping[str, Baseline], tier: str, declared: Collection[str]) -> dict[str, tuple[Question, ...]]:
    """Case id → questions, of baselines of this tier whose case it no longer declares. One that knows no tier is not judged."""
    gone = (each for each in baselines.values() if each.tier == tier and tier and each.case not in declared)
    return {baseline.case: questions_of(baseline) for baseline in gone}


def vanished(run: Run, baselines: Mapping[str, Baseline], declared: Collection[str] | None = None) -> list[Verdict]:
    """A fail for each question of a case that only the baselines know.

    Which ones were asked is written in the run (``absent``), so that what was deselected is not judged. A run that asked
    everything (``whole``) is held against ``declared``, the cases of its tier as they are now (None: not known).
    """
    asked = dict(run.absent)
    measured = {record.id for record in run.cases}
    if run.whole and declared is not None:
        asked |= absent(baselines, run.tier, {*declared, *measured})
    return [
        _verdict(case, question, _undeclared(run, baselines, case))
        for case, questions in asked.items()
        if case in baselines and case not in measured
        for question in questions
    ]


def lost(record: CaseRecord, baseline: Baseline | None) -> list[Verdict]:
    """A fail for each question that the baseline answers and that is skipped now, in the same environment."""
    if baseline is None or record.failure:
        return []
    reasons = {q: record.skip or record.skips.get(q.value, "") for q in record.questions if q in questions_of(baseline)}
    return [_verdict(record.id, question, _skipped(record, baseline, reason)) for question, reason in reasons.items() if reason]


def _verdict(case: str, question: Question, sentence: str) -> Verdict:
    return Verdict(case, MISSING, question, Against.BASELINE, Outcome.FAIL, sentence, reason=REASON)


def _undeclared(run: Run, baselines: Mapping[str, Baseline], case: str) -> str:
    then = baselines[case]
    fresh = [record.id for record in run.cases if record.id not in baselines]
    alike = get_close_matches(case, fresh, 1, 0.6)
    hint = f" (renamed to {alike[0]}, which has no baseline yet?)" if alike else ""
    return (
        f"{case}: missing: it was promoted from {then.run} in tier {run.tier}, which no longer declares it{hint}; declare it "
        f"again, or if it is meant to go delete its file below baselines/{then.environment}"
    )


def _skipped(record: CaseRecord, baseline: Baseline, reason: str) -> str:
    return (
        f"{record.id}: missing: it ran here when {baseline.run} was promoted and is skipped now: {reason}; make it run again, "
        f"or if it is meant to go delete its file below baselines/{baseline.environment}"
    )
