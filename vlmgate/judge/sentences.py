"""The one sentence of each verdict: number, limit, what it is against, and what to do next."""

import math

from vlmgate.judge.estimates import BETWEEN_RUN_SD, Evidence
from vlmgate.spec import Against, Better, CaseRecord, Estimate, Failure, Metric, Outcome, Question, Threshold, VlmgateError
from vlmgate.stats import detectable_drop

LABELS = {
    "time_per_caption": "time per caption",
    "peak_memory": "peak memory",
    "heap_peak": "heap peak",
    "bleu_4": "BLEU-4",
    "cider": "CIDEr",
}
MOST_BLOCKS = 400  # beyond a day's work on a large model
BLIND = 2 * math.sqrt(2) * BETWEEN_RUN_SD  # a difference of two runs that no number of blocks resolves
SIDES = {Outcome.PASS: "holds", Outcome.FAIL: "misses", Outcome.UNRESOLVED: "cannot be told from"}


def sentence(evidence: Evidence, line: Threshold, metric: Metric, found: Estimate, outcome: Outcome, why: str) -> str:
    """What was seen, against what, and what to do; the same words in the terminal, in JUnit and in the report."""
    seen = f"{what(line, metric)} {value(found.centre, line, metric)}{_interval(found, line, metric)}"
    limit = f"{SIDES[outcome]} its {_limit(line, metric)} against {_against(evidence, line)}"
    todo = _advice(line, metric, found, outcome, why)
    return f"{evidence.record.id}: {seen} {limit}{_power(found, metric)}{todo}"


def failure_sentence(record: CaseRecord, failure: Failure) -> str:
    """What happened to the worker, and where to look; a mistake of the user's already is a whole sentence."""
    if failure.kind == VlmgateError.__name__:
        return f"{record.id}: {failure.message}"
    last = f"; the last line of its log: {failure.log.splitlines()[-1]}" if failure.log.strip() else ""
    advice = {"hang": "raise --patience or look for a deadlock", "SIGKILL": "free some memory or use a smaller batch"}
    todo = advice.get(failure.kind, "run `vlmgate caption` on the same model and variant to see it alone")
    return f"{record.id}: {failure.kind} while {failure.stage}: {failure.message}{last}; {todo}"


def what(line: Threshold, metric: Metric) -> str:
    """The name of the quantity that is compared."""
    label = LABELS.get(metric.name, metric.name.replace("_", " "))
    if line.against is Against.LIMIT:
        return label
    if line.against is Against.BASELINE:
        return f"{label} since the baseline"
    return {"speed-up": "speed-up", "reduction": f"{label} reduction", "retention": f"{label} retention"}.get(
        metric.quantity, label
    )


def value(number: float, line: Threshold, metric: Metric) -> str:
    """A number in the unit that readers expect; rounded for reading only, never before a comparison."""
    if math.isnan(number):
        return "undefined"
    if line.against is Against.BASELINE:
        return f"{number - 1:+.1%}" + (" speed" if metric.question is Question.LATENCY else "")
    if line.against is Against.REFERENCE:
        return f"{number:.3g}×" if metric.quantity == "speed-up" else f"{number:.1%}"
    if metric.unit == "B":
        return f"{number / 1e6:.4g} MB"
    return f"{number:.4g}" + (f" {metric.unit}" if metric.unit else "")


def _interval(found: Estimate, line: Threshold, metric: Metric) -> str:
    if found.low == found.high:
        return ""
    unit = "blocks" if metric.question is Question.LATENCY else "images" if metric.question is Question.QUALITY else "process(es)"
    return f" ({value(found.low, line, metric)} to {value(found.high, line, metric)}, {found.n} {unit})"


def _limit(line: Threshold, metric: Metric) -> str:
    if line.against is Against.BASELINE:
        return f"tolerance of {line.line:.1%}"
    side = "floor" if line.against is Against.REFERENCE or metric.better is Better.HIGHER else "limit"
    return f"{side} of {value(line.line, line, metric)}"


def _against(evidence: Evidence, line: Threshold) -> str:
    if line.against is Against.REFERENCE and evidence.reference:
        return f"{evidence.reference.variant} in this run"
    if line.against is Against.BASELINE and evidence.baseline:
        return f"the baseline promoted from {evidence.baseline.run}"
    return "suite.yaml"


def _power(found: Estimate, metric: Metric) -> str:
    """What a quality interval could have seen: a pass that could not have failed is worth nothing."""
    if metric.question is not Question.QUALITY or found.low == found.high:
        return ""
    return f"; {found.n} images could have shown a drop of {detectable_drop(found):.1%}"


def _advice(line: Threshold, metric: Metric, found: Estimate, outcome: Outcome, why: str) -> str:
    if why:
        return f"; {why}"
    if outcome is Outcome.PASS:
        return ""
    if outcome is Outcome.FAIL:
        fix = {
            Question.LATENCY: "profile the variant",
            Question.QUALITY: "look at the captions in run.json that differ from the reference's",
            Question.SIZE: "list the largest tensors of the artefact",
            Question.MEMORY: "see where it is allocated with memray",
        }[metric.question]
        return f"; {fix}, or change the line in suite.yaml and write down the reason"
    if metric.question is Question.LATENCY:
        return _more_blocks(line, found)
    if metric.question is Question.QUALITY:
        return "; use more images (settings: images) or accept a lower floor with its reason"
    return "; measure several processes (tier full) for a narrower interval"


def _more_blocks(line: Threshold, found: Estimate) -> str:
    """How many blocks would decide, at the spread seen: the half-width on the side of the line shrinks with their root."""
    if found.n < 2 or not (found.low > 0 and found.high < math.inf):
        return "; measure more blocks (--blocks 6 or more)"
    goal = 1 - line.line if line.against is Against.BASELINE else line.line
    distance = math.log(found.centre / goal) if goal > 0 else math.inf
    if line.against is Against.BASELINE and abs(distance) <= BLIND:
        return f"; two runs alone may differ by {BLIND:.0%}, so more blocks will not decide: allow a larger tolerance"
    half = math.log(found.centre / found.low if distance > 0 else found.high / found.centre)
    if half >= abs(distance) * math.sqrt(MOST_BLOCKS / found.n):
        return "; it is too near to the line for any sensible number of blocks"
    guess = math.floor(found.n * (half / distance) ** 2) + 1
    return f"; about {guess} blocks would decide (--blocks {guess})"
