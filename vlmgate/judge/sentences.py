"""The one sentence of each verdict: number, limit, what it is against, and what to do next."""

import math

from vlmgate.judge.drift import DRIFT, sustained_level
from vlmgate.judge.estimates import MEMORY_RESOLUTION
from vlmgate.judge.evidence import Evidence
from vlmgate.judge.figures import interval, share, value, what
from vlmgate.judge.rule import change
from vlmgate.judge.speed import between_runs
from vlmgate.spec import (
    Against,
    Better,
    CaseRecord,
    Change,
    Estimate,
    Failure,
    Metric,
    Outcome,
    Question,
    Threshold,
    VlmgateError,
)
from vlmgate.stats import DETECTED, needed

MOST_BLOCKS, MOST_IMAGES = 400, 100_000  # beyond a day's work on a large model
BLIND = 2 * math.sqrt(2)  # spreads between runs: a difference of two runs that no number of blocks resolves
SIDES = {Outcome.PASS: "holds", Outcome.FAIL: "misses", Outcome.WAIVED: "misses", Outcome.UNRESOLVED: "cannot be told from"}


def sentence(
    evidence: Evidence,
    line: Threshold,
    metric: Metric,
    found: Estimate,
    outcome: Outcome,
    why: str,
    *,
    margin: float | None = None,
    said: str = "",
) -> str:
    """What was seen, against what, and what to do; the same words in the terminal, in JUnit and in the report.

    ``why`` says what forbade a decision, ``said`` what new blocks added, ``margin`` what a change since the baseline must exceed.
    """
    seen = f"{what(evidence, line, metric)} {value(found.centre, line, metric)}{interval(found, line, metric)}"
    limit = f"{SIDES[outcome]} its {_limit(line, metric, margin)} against {_against(evidence, line, metric)}"
    todo = _advice(evidence, line, metric, found, outcome, why, margin)
    return f"{evidence.record.id}: {seen} {limit}{_coarse(line, metric, margin)}{said}{todo}"


def confirmation_phrase(state: str, fresh: Estimate | None, doubt: str, line: Threshold, metric: Metric) -> str:
    """What new blocks said of a noisy fail."""
    if state == "needed":
        return f"not confirmed: these blocks miss the line, but {doubt}; go on with --resume, and with more time if that ended"
    if not state:
        return ""
    if doubt or fresh is None:
        return f"not confirmed: {doubt}; run again"
    gave = f"{fresh.n} new blocks gave {value(fresh.centre, line, metric)}"
    if state == "confirmed":
        return f"; confirmed: {gave}"
    return f"not confirmed: {gave}, which is on the good side of the line; run again, for one of the two is chance"


def detects_phrase(found: Estimate, metric: Metric, growth: float | None) -> str:
    """What a line on speed or energy that holds could have shown: a pass that could not have failed is worth nothing."""
    if growth is None:
        return ""
    loss = "slow-down" if metric.question is Question.LATENCY else "rise"
    return f"; {found.n} blocks like these find a {loss} of {share(growth)} beyond the line in {DETECTED:.0%} of runs"


def failure_sentence(record: CaseRecord, failure: Failure) -> str:
    """What happened to the worker, and where to look; a mistake of the user's already is a whole sentence."""
    if failure.kind == VlmgateError.__name__:
        return f"{record.id}: {failure.message}"
    last = f"; the last line of its log: {words[-1]}" if (words := last_words(failure)) else ""
    advice = {"hang": "raise --patience or look for a deadlock", "SIGKILL": "free some memory or use a smaller batch"}
    todo = advice.get(failure.kind, "run `vlmgate caption` on the same model and variant to see it alone")
    return f"{record.id}: {failure.kind} while {failure.stage}: {failure.message}{last}; {todo}"


def last_words(failure: Failure) -> list[str]:
    """The last lines of the worker's log, to be shown beside the sentence; none of a mistake of the user's."""
    return failure.log.splitlines() if failure.log.strip() and failure.kind != VlmgateError.__name__ else []


def _limit(line: Threshold, metric: Metric, margin: float | None) -> str:
    if line.against is Against.BASELINE and margin is not None and margin > line.line:
        return f"margin of {margin:.1%} (twice the spread between runs; the tolerance of {line.line:.1%} is smaller)"
    if line.against is Against.BASELINE:
        return f"tolerance of {line.line:.1%}"
    side = "floor" if line.against is Against.REFERENCE or metric.better is Better.HIGHER else "limit"
    return f"{side} of {value(line.line, line, metric)}"


def _against(evidence: Evidence, line: Threshold, metric: Metric) -> str:
    if line.against is Against.REFERENCE and evidence.reference:
        return f"{evidence.reference.variant} in this run"
    if line.against is Against.BASELINE and evidence.run.other:
        return f"{evidence.run.other.label}, measured beside it"
    if metric is DRIFT and (level := sustained_level(evidence.baseline, between_runs(evidence.baseline)[0])):
        return f"the best running median of three among the {level.promotions} promotions"
    if line.against is Against.BASELINE and evidence.baseline:
        return f"the baseline promoted {'by force ' if evidence.baseline.forced else ''}from {evidence.baseline.run}"
    return "suite.yaml"


def _coarse(line: Threshold, metric: Metric, margin: float | None) -> str:
    """A margin beyond half of the change that the line is there for lets such changes through now and then."""
    catch = 2 * line.line if line.catch is None else line.catch
    if margin is None or metric.question is not Question.LATENCY or margin <= catch / 2:
        return ""
    return f"; that is more than half of the {catch:.1%} which this line is meant to catch: expect some to slip through"


def _advice(
    evidence: Evidence, line: Threshold, metric: Metric, found: Estimate, outcome: Outcome, why: str, margin: float | None
) -> str:
    if why:
        return f"; {why}"
    if outcome is Outcome.WAIVED:
        return ""
    if outcome is Outcome.PASS:
        return _gain(evidence, line, metric, found, margin)
    if outcome is Outcome.FAIL:
        fix = {
            Question.LATENCY: "profile the variant",
            Question.QUALITY: "look at the captions in run.json that differ from the reference's",
            Question.SIZE: "list the largest tensors of the artefact",
            Question.MEMORY: f"see where it is allocated with `vlmgate memory {evidence.record.id} --tier {evidence.run.tier}`",
            Question.ENERGY: "look at time per caption and clocks first",
        }[metric.question]
        return f"; {fix}, or change the line in suite.yaml and write down the reason"
    if metric.question is Question.LATENCY:
        return _more_blocks(evidence, line, found, margin)
    if metric.question is Question.ENERGY:
        return "; measure more blocks (--blocks) on a quiet machine"
    if metric.question is Question.QUALITY:
        return _more_images(line, found)
    best = f"peaks are known to ±{MEMORY_RESOLUTION:.0%} at best"
    return f"; {best}, a wider interval narrows with more processes (settings: processes)"


def _gain(evidence: Evidence, line: Threshold, metric: Metric, found: Estimate, margin: float | None) -> str:
    """A gain beyond the margin is lost again unnoticed unless it is promoted."""
    if metric is DRIFT or evidence.run.other or change(found, line, metric, margin) is not Change.IMPROVED:
        return ""
    command = f"vlmgate promote {evidence.run.name} --cases '{evidence.record.id}'"
    return f"; better than the baseline by more than it had to be: keep the gain with `{command}`"


def _more_blocks(evidence: Evidence, line: Threshold, found: Estimate, margin: float | None) -> str:
    """How many blocks would decide, at the spread seen: the half-width on the side of the line shrinks with their root."""
    if found.n < 2 or not (found.low > 0 and found.high < math.inf):
        return "; measure more blocks (--blocks 6 or more)"
    goal = line.line if margin is None else 1 - margin
    distance = math.log(found.centre / goal) if goal > 0 else math.inf
    blind = BLIND * between_runs(evidence.baseline)[0]
    if line.against is Against.BASELINE and abs(distance) <= blind:
        return f"; two runs alone may differ by {blind:.0%}, so more blocks will not decide: allow a larger tolerance"
    guess = needed(found, goal, MOST_BLOCKS)
    if guess is None:
        return "; it is too near to the line for any sensible number of blocks"
    return f"; about {guess} blocks would decide (--blocks {guess})"


def _more_images(line: Threshold, found: Estimate) -> str:
    """How many images would decide, at the spread seen among these."""
    guess = needed(found, line.line, MOST_IMAGES)
    if guess is None:
        return "; it is too near to the line for any sensible number of images: accept a lower floor with its reason"
    return f"; about {guess:,} images would decide (settings: images), or accept a lower floor with its reason"
