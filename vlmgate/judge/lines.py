"""The verdict on one threshold of one case: estimate, rule, confirmation, sentence."""

from dataclasses import replace

from vlmgate.judge.confirm import NEEDED, REFUTED, confirm
from vlmgate.judge.estimates import estimate
from vlmgate.judge.evidence import TIMED, Evidence
from vlmgate.judge.levels import SKIP, Levels
from vlmgate.judge.quality import captions_phrase, changed_captions, seen_phrase
from vlmgate.judge.rule import change, decide, goal
from vlmgate.judge.sentences import confirmation_phrase, detects_phrase, failure_sentence, sentence
from vlmgate.judge.since import changed_since, since_phrase
from vlmgate.judge.speed import CONTAMINATED, margin
from vlmgate.judge.waivers import in_force, waiver_phrase
from vlmgate.spec import Against, Change, Estimate, Metric, Outcome, Question, Threshold, Verdict, Waiver
from vlmgate.stats import coverage, detectable

NO_TIMING = "timing is switched off (--benchmark-disable)"


def judge_line(
    evidence: Evidence, line: Threshold, metric: Metric, levels: Levels, *, timing: bool = True, waiver: Waiver | None = None
) -> Verdict:
    """The verdict on one threshold of one case; ``waiver`` is the one that bears on it, in force or expired."""
    record = evidence.record
    base = Verdict(record.id, metric.name, metric.question, line.against, Outcome.SKIP, "", line=line.line, reason=line.reason)
    if record.failure:
        return replace(base, outcome=Outcome.FAIL, sentence=failure_sentence(record, record.failure))
    if reason := record.skip or record.skips.get(metric.question):
        return replace(base, sentence=f"{record.id}: {metric.name} skipped: {reason}")
    if metric.question in TIMED and not timing:
        return replace(base, sentence=f"{record.id}: {metric.name} skipped: {NO_TIMING}")
    found, why = estimate(evidence, line, metric, levels)
    if found is None:
        lacking = Outcome.SKIP if why.startswith(SKIP) else Outcome.UNRESOLVED
        return replace(base, outcome=lacking, sentence=f"{record.id}: {metric.name} {lacking.value}: {why.removeprefix(SKIP)}")
    return _decided(base, evidence, line, metric, levels, found, why, waiver)


def _decided(
    base: Verdict,
    evidence: Evidence,
    line: Threshold,
    metric: Metric,
    levels: Levels,
    found: Estimate,
    why: str,
    waiver: Waiver | None,
) -> Verdict:
    """The verdict where there is an estimate; ``why`` says what forbids a decision."""
    wide = _margin(evidence, line, metric)
    number, better = goal(line, metric, wide)
    outcome = Outcome.UNRESOLVED if why else decide(found, number, better)
    if outcome is Outcome.FAIL and in_force(waiver, evidence.run):
        outcome = Outcome.WAIVED
    detects = None if why or outcome not in (Outcome.PASS, Outcome.UNRESOLVED) else _detects(found, metric, levels)
    state, fresh, doubt = confirm(evidence, line, metric, levels, number, better) if outcome is Outcome.FAIL else ("", None, "")
    said = confirmation_phrase(state, fresh, doubt, line, metric)
    if state in (NEEDED, REFUTED):
        outcome, why, said = Outcome.UNRESOLVED, said, ""
    changed, captions = _captions(evidence, line, metric, found)
    since = changed_since(evidence.baseline, evidence.run) if line.against is Against.BASELINE and evidence.baseline else []
    told = since_phrase(since) if outcome is Outcome.FAIL else ""
    shown = detects_phrase(found, metric, detects) if outcome is Outcome.PASS else ""
    said = f"{captions}{shown}{said}{told}{waiver_phrase(waiver, outcome, evidence.run)}"
    return replace(
        base,
        outcome=outcome,
        estimate=found,
        change=Change.UNKNOWN if why else change(found, line, metric, wide),
        sentence=sentence(evidence, line, metric, found, outcome, why, margin=wide, said=said),
        margin=wide,
        spent=(levels.fail, levels.good) if found.level < 1 else (),
        confirm=state,
        confirmation=fresh,
        contaminated=CONTAMINATED in why,  # by itself, or as why a fail could not be confirmed
        changed=changed,
        since=tuple(since),
        detects=detects,
    )


def _detects(found: Estimate, metric: Metric, levels: Levels) -> float | None:
    """The growth of time or joules beyond the line that blocks like these find; None for what no block measures."""
    if metric.question not in TIMED or found.error is None:
        return None
    return detectable(found.error, coverage(levels.fail))


def _captions(evidence: Evidence, line: Threshold, metric: Metric, found: Estimate) -> tuple[dict[str, tuple[str, ...]], str]:
    """Captions that changed since the baseline, and what the sentence says of them and of the drop that could have been seen."""
    if metric.question is not Question.QUALITY:
        return {}, ""
    seen = seen_phrase(evidence.record, line, metric, found)
    if line.against is not Against.BASELINE:
        return {}, seen
    changed = changed_captions(evidence.record, evidence.baseline)
    return changed, seen + captions_phrase(evidence.record, evidence.baseline, changed)


def _margin(evidence: Evidence, line: Threshold, metric: Metric) -> float | None:
    """What a change since the baseline must exceed; None for lines that are not against one."""
    if line.against is not Against.BASELINE:
        return None
    return margin(line, evidence.baseline) if metric.question is Question.LATENCY else line.line
