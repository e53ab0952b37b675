"""Cases and questions that are gone: known to a baseline or the other side, and not declared here, or skipped where they ran."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from vlmgate.judge.energy import ENERGY
from vlmgate.judge.evidence import TIME
from vlmgate.spec import Against, Baseline, CaseRecord, Other, Outcome, Question, Run, Verdict

MISSING = "missing"  # the name of the gate
REASON = "a case that vanishes must not look like a case that passes"


def questions_of(baseline: Baseline) -> tuple[Question, ...]:
    """The questions that a baseline was asked and answers; one from before that was kept was asked whatever it answers."""
    held = {
        Question.LATENCY: bool(baseline.blocks.get(TIME)),
        Question.MEMORY: bool(baseline.memory),
        Question.SIZE: bool(baseline.exact),
        Question.QUALITY: bool(baseline.scores),
        Question.ENERGY: bool(baseline.blocks.get(ENERGY)),
    }
    return tuple(question for question, there in held.items() if there and question in (baseline.questions or Question))


def absent(
    baselines: Mapping[str, Baseline],
    tier: str,
    declared: Mapping[str, Collection[Question]],
    there: Mapping[str, Collection[Question]] | None = None,
) -> dict[str, tuple[Question, ...]]:
    """Case id → questions that baselines of this tier answer and that it no longer asks. A baseline that knows no tier is not
    judged.

    ``declared`` are the cases of the tier with their questions, ``there`` those that the other side of --against declares in it.
    """
    known = {each.case: {*questions_of(each)} for each in baselines.values() if tier and each.tier == tier}
    for case, questions in (there or {}).items():
        known[case] = {*questions, *known.get(case, ())}
    gone = {case: tuple(q for q in Question if q in known[case] and q not in declared.get(case, ())) for case in known}
    return {case: questions for case, questions in gone.items() if questions}


def vanished(
    run: Run, baselines: Mapping[str, Baseline], declared: Mapping[str, Collection[Question]] | None = None
) -> list[Verdict]:
    """A fail for each question of a case that only the baselines answer, or only the other side of --against.

    Which ones were asked is written in the run (``absent``), so that what was deselected is not judged. A run that asked
    everything (``whole``) is held against ``declared``, the cases of its tier as they are now with their questions (None: not
    known).
    """
    measured, now = {record.id: record.questions for record in run.cases}, declared or {}
    there = run.other.declared if run.other else {}
    asked = dict(run.absent)
    if run.whole and declared is not None:
        here = {case: {*now.get(case, ()), *measured.get(case, ())} for case in {**now, **measured}}
        asked |= absent(baselines, run.tier, here, there)

    def words(case: str, question: Question) -> str:
        if case in measured or question not in now.get(case, Question):
            return _unasked(run, baselines, case, question)
        return _undeclared(run, baselines, case)

    return [
        _verdict(case, question, words(case, question))
        for case, questions in asked.items()
        for question in questions
        if question in there.get(case, ()) or (case in baselines and question in questions_of(baselines[case]))
    ]


def lost(record: CaseRecord, baseline: Baseline | None, other: Other | None = None) -> list[Verdict]:
    """A fail for each question that the baseline answers (of the ``other`` side, with --against) and that is skipped now."""
    if baseline is None or record.failure:
        return []
    reasons = {q: record.skip or record.skips.get(q.value, "") for q in record.questions if q in questions_of(baseline)}
    ran, mend = f"it ran here when {baseline.run} was promoted", f"delete its file below baselines/{baseline.environment}"
    if other:
        ran, mend = f"it runs as {other.label} has it", f"deselect it (-k 'not {record.id}')"

    def words(reason: str) -> str:
        return f"{record.id}: missing: {ran} and is skipped now: {reason}; make it run again, or if it is meant to go {mend}"

    return [_verdict(record.id, question, words(reason)) for question, reason in reasons.items() if reason]


def _verdict(case: str, question: Question, sentence: str) -> Verdict:
    return Verdict(case, MISSING, question, Against.BASELINE, Outcome.FAIL, sentence, reason=REASON)


def _unasked(run: Run, baselines: Mapping[str, Baseline], case: str, question: Question) -> str:
    if run.other and question in run.other.declared.get(case, ()):
        then = f"{run.other.label} asks {question} of it in tier {run.tier}, and this side does not"
        mend = f"deselect it (-k 'not ({question} and {case})')"
    else:
        then = f"it answered {question} when {baselines[case].run} was promoted, and tier {run.tier} no longer asks that"
        mend = f"promote a run without it (vlmgate promote --cases '{case}' --force)"
    return f"{case}: missing: {then}; ask it again, or if it is meant to go {mend}"


def _undeclared(run: Run, baselines: Mapping[str, Baseline], case: str) -> str:
    if run.other and case in run.other.declared:
        known: Collection[str] = run.other.declared
        then, lacks = f"{run.other.label} declares it in tier {run.tier}, and this side does not", f"{run.other.label} lacks"
        mend = f"deselect it (-k 'not {case}')"
    else:
        known, lacks = baselines, "has no baseline yet"
        then = f"it was promoted from {baselines[case].run} in tier {run.tier}, which no longer declares it"
        mend = f"delete its file below baselines/{baselines[case].environment}"
    alike = get_close_matches(case, [record.id for record in run.cases if record.id not in known], 1, 0.6)
    hint = f" (renamed to {alike[0]}, which {lacks}?)" if alike else ""
    return f"{case}: missing: {then}{hint}; declare it again, or if it is meant to go {mend}"
