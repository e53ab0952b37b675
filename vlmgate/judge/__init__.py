"""Measurements + thresholds + baseline → verdicts. Pure: the same run, suite and baselines give the same verdicts."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from vlmgate.judge.estimates import SKIP, Evidence, Levels, estimate
from vlmgate.judge.sentences import failure_sentence, sentence
from vlmgate.spec import (
    Against,
    Baseline,
    Better,
    CaseRecord,
    Change,
    Estimate,
    Metric,
    Outcome,
    Question,
    Run,
    Threshold,
    Verdict,
)
from vlmgate.stats import line_level, look_levels

FAMILY_ERROR = 0.01  # a false `fail` anywhere among the noisy lines of a family
PASS_ERROR = 0.05  # a false `pass` on one line, over all looks
LOOKS = (6, 12, 24)  # blocks
NO_TIMING = "timing is switched off (--benchmark-disable)"


def judge_run(
    run: Run,
    thresholds: Mapping[str, Sequence[Threshold]],
    metrics: Mapping[str, Metric],
    baselines: Mapping[str, Baseline],
    *,
    timing: bool = True,
) -> tuple[Verdict, ...]:
    """Verdicts of every case of ``run``, in the order of its cases; ``thresholds`` maps case ids to what must hold."""
    records = {record.id: record for record in run.cases}
    asked = {
        record.id: [line for line in thresholds.get(record.id, ()) if metrics[line.metric].question in record.questions]
        for record in run.cases
    }
    families = [
        sum(
            _noisy(line, metrics) and (metrics[line.metric].question is Question.QUALITY) is quality
            for lines in asked.values()
            for line in lines
        )
        for quality in (False, True)
    ]
    verdicts: list[Verdict] = []
    for record in run.cases:
        evidence = Evidence(run, record, records.get(record.reference), baselines.get(record.id))
        verdicts += _always(record)
        for line in asked[record.id]:
            metric = metrics[line.metric]
            levels = _levels(
                families[metric.question is Question.QUALITY],
                evidence.look(LOOKS) if metric.question is Question.LATENCY else None,
            )
            verdicts.append(judge_line(evidence, line, metric, levels, timing=timing))
    return tuple(verdicts)


def judge_line(evidence: Evidence, line: Threshold, metric: Metric, levels: Levels, *, timing: bool = True) -> Verdict:
    """The verdict on one threshold of one case."""
    record = evidence.record
    base = Verdict(record.id, metric.name, metric.question, line.against, Outcome.SKIP, "", line=line.line, reason=line.reason)
    if record.failure:
        return replace(base, outcome=Outcome.FAIL, sentence=failure_sentence(record, record.failure))
    if reason := record.skip or record.skips.get(metric.question):
        return replace(base, sentence=f"{record.id}: {metric.name} skipped: {reason}")
    if metric.question is Question.LATENCY and not timing:
        return replace(base, sentence=f"{record.id}: {metric.name} skipped: {NO_TIMING}")
    found, why = estimate(evidence, line, metric, levels)
    if found is None:
        lacking = Outcome.SKIP if why.startswith(SKIP) else Outcome.UNRESOLVED
        return replace(base, outcome=lacking, sentence=f"{record.id}: {metric.name} {lacking.value}: {why.removeprefix(SKIP)}")
    outcome = Outcome.UNRESOLVED if why else decide(found, *goal(line, metric))
    return replace(
        base,
        outcome=outcome,
        estimate=found,
        change=Change.UNKNOWN if why else change(found, line, metric),
        sentence=sentence(evidence, line, metric, found, outcome, why),
    )


def goal(line: Threshold, metric: Metric) -> tuple[float, Better]:
    """The line on the scale of the estimate, and on which side of it the good lies."""
    if line.against is Against.REFERENCE:
        return line.line, Better.HIGHER  # speed-up, reduction, retention
    if line.against is Against.BASELINE:  # now ÷ baseline
        return (1 - line.line, Better.HIGHER) if _more_is_better(metric) else (1 + line.line, Better.LOWER)
    return line.line, metric.better


def _more_is_better(metric: Metric) -> bool:
    """On the scale on which a case is compared with its baseline: of time it is the speed."""
    return metric.better is Better.HIGHER or metric.question is Question.LATENCY


def decide(estimate: Estimate, line: float, better: Better) -> Outcome:
    """`pass` when the whole interval is on the good side of the line, `fail` when wholly on the bad side. Nothing is rounded."""
    if not (estimate.low <= estimate.high):  # NaN included
        return Outcome.UNRESOLVED
    if better is Better.HIGHER:
        if estimate.low >= line:
            return Outcome.PASS
        return Outcome.FAIL if estimate.high < line else Outcome.UNRESOLVED
    if estimate.high <= line:
        return Outcome.PASS
    return Outcome.FAIL if estimate.low > line else Outcome.UNRESOLVED


def change(estimate: Estimate, line: Threshold, metric: Metric) -> Change:
    """What happened since the baseline; the estimate is now ÷ baseline."""
    if line.against is not Against.BASELINE:
        return Change.UNKNOWN
    fell, rose = estimate.high < 1 - line.line, estimate.low > 1 + line.line
    if fell or rose:
        return Change.IMPROVED if rose is _more_is_better(metric) else Change.REGRESSED
    return Change.UNCHANGED if 1 - line.line <= estimate.low and estimate.high <= 1 + line.line else Change.UNKNOWN


def undecided(verdicts: Iterable[Verdict], cases: Collection[str]) -> set[str]:
    """Which of ``cases`` have a speed line that more blocks may decide."""
    return {v.case for v in verdicts if v.case in cases and v.question is Question.LATENCY and v.outcome is Outcome.UNRESOLVED}


def decided_share(verdicts: Iterable[Verdict]) -> tuple[int, int]:
    """(decided, all) gates; skipped ones are not counted, for they asked nothing here."""
    judged = [v.outcome for v in verdicts if v.outcome is not Outcome.SKIP]
    return sum(outcome is not Outcome.UNRESOLVED for outcome in judged), len(judged)


def _noisy(line: Threshold, metrics: Mapping[str, Metric]) -> bool:
    """Whether chance bears on the line. Captions are fixed: only a retention, which stands for other images, is noisy."""
    metric = metrics[line.metric]
    return not metric.exact and (metric.question is not Question.QUALITY or line.against is Against.REFERENCE)


def _levels(lines: int, look: int | None) -> Levels:
    """The errors that one line may spend at this look (all of it where there are no looks)."""
    fail = line_level(FAMILY_ERROR, max(lines, 1))
    if look is None:
        return Levels(fail, PASS_ERROR)
    return Levels(look_levels(fail, LOOKS)[look], look_levels(PASS_ERROR, LOOKS)[look])


def _always(record: CaseRecord) -> list[Verdict]:
    """Gates that need no threshold: an artefact must give back what was saved, and a crash is a fail in every question."""
    size = Verdict(record.id, "reloads", Question.SIZE, Against.LIMIT, Outcome.FAIL, "", line=1.0)
    crashed = [
        replace(size, metric="worker", question=question, sentence=failure_sentence(record, record.failure))
        for question in record.questions
        if record.failure
    ]
    if Question.SIZE in record.questions and record.exact.get("reloads") == 0.0:
        seen = "the saved artefact gives other tokens than the model it came from"
        words = f"{record.id}: {seen}; do not ship it, and report the recipe"
        return [*crashed, replace(size, sentence=words, reason="what is measured must be what is shipped")]
    return crashed
