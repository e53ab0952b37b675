"""Measurements + thresholds + baseline → verdicts. Pure: the same run, suite and baselines give the same verdicts."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from vlmgate.judge.always import always
from vlmgate.judge.confirm import to_confirm
from vlmgate.judge.drift import DRIFT, drift_lines
from vlmgate.judge.estimates import elsewhere
from vlmgate.judge.evidence import TIME, TIMED, Evidence, against_another, differing, evidence_of
from vlmgate.judge.exits import exit_status
from vlmgate.judge.levels import FAMILY_ERROR, LOOKS, PASS_ERROR, levels_of
from vlmgate.judge.lines import judge_line
from vlmgate.judge.missing import absent, lost, vanished
from vlmgate.judge.paired import contaminated_groups
from vlmgate.judge.rule import change, decide, goal
from vlmgate.judge.speed import between_runs
from vlmgate.judge.waivers import waiver_of
from vlmgate.spec import Against, Baseline, Metric, Outcome, Question, Run, Threshold, Verdict, Waiver

__all__ = [
    "FAMILY_ERROR",
    "LOOKS",
    "PASS_ERROR",
    "TIMED",
    "absent",
    "change",
    "contaminated_groups",
    "decide",
    "decided_share",
    "exit_status",
    "goal",
    "judge_line",
    "judge_run",
    "to_confirm",
    "undecided",
]


def judge_run(
    run: Run,
    thresholds: Mapping[str, Sequence[Threshold]],
    metrics: Mapping[str, Metric],
    baselines: Mapping[str, Baseline],
    *,
    timing: bool = True,
    waivers: Sequence[Waiver] = (),
    declared: Mapping[str, Collection[Question]] | None = None,
) -> tuple[Verdict, ...]:
    """Verdicts of every case of ``run``, in the order of its cases, then those of cases that are missing.

    ``thresholds`` maps case ids to what must hold; ``declared`` are the cases of the run's tier, with their questions, as
    suite.yaml has them now (None: not known, so that only what the run itself found missing is judged).
    """
    known = {**metrics, DRIFT.name: DRIFT}
    evidence = evidence_of(run, baselines)
    asked = {each.record.id: _asked(each, thresholds.get(each.record.id, ()), metrics) for each in evidence}
    families = {quality: _family(evidence, asked, known, quality=quality) for quality in (False, True)}
    verdicts: list[Verdict] = []
    for each in evidence:
        verdicts += [*always(each.record), *lost(each.record, each.baseline, run.other)]
        for line in asked[each.record.id]:
            metric = known[line.metric]
            look = each.look if metric.question in TIMED else None
            levels = levels_of(families[metric.question is Question.QUALITY], LOOKS, look)
            waiver = waiver_of(waivers, each.record.id, TIME if metric is DRIFT else metric.name, line.against)
            verdicts.append(judge_line(each, line, metric, levels, timing=timing, waiver=waiver))
    return (*_once(verdicts), *vanished(run, baselines, declared))


def _asked(evidence: Evidence, lines: Sequence[Threshold], metrics: Mapping[str, Metric]) -> list[Threshold]:
    """The lines on questions that were asked of the case; with a line on drift where its promotions allow one."""
    record, baseline = evidence.record, evidence.baseline
    wanted = [line for line in lines if metrics[line.metric].question in record.questions]
    if evidence.run.other or differing(record, evidence.run, baseline) or against_another(record, baseline):
        return wanted
    return [*wanted, *drift_lines(wanted, baseline, between_runs(baseline)[0])]


def _family(
    evidence: Sequence[Evidence], asked: Mapping[str, Sequence[Threshold]], metrics: Mapping[str, Metric], *, quality: bool
) -> int:
    """How many noisy lines share an error: those on captions, or all others. Chance bears on nothing that is not measured."""
    return sum(
        _noisy(line, metrics) and (metrics[line.metric].question is Question.QUALITY) is quality
        for each in evidence
        for line in asked[each.record.id]
        if metrics[line.metric].question.value not in each.record.skips
        if not elsewhere(each, line, metrics[line.metric])
    )


def _once(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Captions that changed are kept with the first verdict of a case that lists them."""
    seen: set[str] = set()
    found = []
    for verdict in verdicts:
        found.append(replace(verdict, changed={}) if verdict.case in seen else verdict)
        seen |= {verdict.case} if verdict.changed else set()
    return found


def undecided(verdicts: Iterable[Verdict], cases: Collection[str]) -> set[str]:
    """Which of ``cases`` have a line on speed or energy that more blocks of the same kind may decide."""
    unresolved = [v for v in verdicts if v.case in cases and v.outcome is Outcome.UNRESOLVED]
    open_lines = (v for v in unresolved if not v.contaminated and not v.confirm)
    # Where no block measured energy, or one was broken, no further one helps: there is no estimate.
    return {v.case for v in open_lines if v.question is Question.LATENCY or (v.question is Question.ENERGY and v.estimate)}


def decided_share(verdicts: Iterable[Verdict]) -> tuple[int, int]:
    """(decided, all) gates; skipped ones are not counted, for they asked nothing here."""
    judged = [v.outcome for v in verdicts if v.outcome is not Outcome.SKIP]
    return sum(outcome is not Outcome.UNRESOLVED for outcome in judged), len(judged)


def _noisy(line: Threshold, metrics: Mapping[str, Metric]) -> bool:
    """Whether chance bears on the line. Captions are fixed: only a retention, which stands for other images, is noisy."""
    metric = metrics[line.metric]
    return not metric.exact and (metric.question is not Question.QUALITY or line.against is Against.REFERENCE)
