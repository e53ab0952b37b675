"""Estimates of caption quality: retention over the same images, scores of fixed captions, and what changed since the baseline."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from vlmgate.judge.evidence import Evidence, unmeasured
from vlmgate.judge.levels import Levels
from vlmgate.judge.paired import holds_no
from vlmgate.metrics import scores
from vlmgate.spec import Against, Baseline, Better, CaseRecord, Estimate, Metric, Threshold
from vlmgate.stats import bootstrap_ratio, coverage, detectable_drop

BOOTSTRAP_SEED = 20_260_000
SHOWN = 3  # captions that changed, in a sentence; all are in run.json
Statistics = tuple[tuple[float, ...], ...]  # [image][field of scores.FIELDS]


def quality(evidence: Evidence, line: Threshold, metric: Metric, levels: Levels) -> tuple[Estimate | None, str]:
    """A score, the share of the reference's that is kept, or now ÷ then (None without one), and why it cannot decide."""
    record, reference = evidence.record, evidence.reference
    score = record.scores.get(metric.name, math.nan)
    if not record.quality:
        return None, "no caption was scored"
    if not math.isfinite(score):
        return None, unmeasured(record.scores, metric.name)
    if line.against is Against.LIMIT:
        return Estimate(score, score, score, len(record.quality), 1.0, record.signature), ""
    if line.against is Against.BASELINE:
        return _score_since(evidence, metric, score)
    if reference is None or not reference.quality:
        return None, "the reference has no scored captions to compare with"
    if record.quality.keys() != reference.quality.keys():
        return None, "the reference captioned other images; run both in one run with the same settings"
    now, then = _statistics(record), _statistics(reference)
    wide, narrow = (_retention(now, then, metric.name, coverage(level)) for level in (levels.fail, levels.good))
    if math.isnan(wide.centre):
        return None, f"the reference scores zero on {metric.name}, so a retention is undefined"
    signature = f"{wide.signature} | {record.signature}"
    return replace(wide, low=narrow.low, level=1 - levels.fail - levels.good, signature=signature), ""


@lru_cache(maxsize=1024)  # every look judges all lines again, and captions do not change between looks
def _retention(now: Statistics, then: Statistics, name: str, level: float) -> Estimate:
    return bootstrap_ratio(
        now, then, lambda stats, counts: scores.unsmoothed(stats, counts)[name], level=level, seed=BOOTSTRAP_SEED
    )


def _score_since(evidence: Evidence, metric: Metric, score: float) -> tuple[Estimate | None, str]:
    """Score now ÷ score of the baseline on the same images: exact, because both caption lists are fixed."""
    then = evidence.baseline.scores.get(metric.name, math.nan) if evidence.baseline else math.nan
    if math.isnan(then):
        return None, holds_no(evidence, metric.name)
    if not then:
        side = evidence.run.other.label if evidence.run.other else "the baseline"
        return None, f"{side} scores zero on {metric.name}, so a change is undefined"
    ratio = score / then
    return Estimate(ratio, ratio, ratio, len(evidence.record.quality), 1.0, evidence.record.signature), ""


def _statistics(record: CaseRecord) -> Statistics:
    return tuple(tuple(record.quality[key]) for key in sorted(record.quality))


def changed_captions(record: CaseRecord, baseline: Baseline | None) -> dict[str, tuple[str, ...]]:
    """Example id → (caption in the baseline, caption now), of images that both captioned and on which they differ."""
    then = baseline.captions if baseline else {}
    return {key: (then[key], now) for key, now in record.captions.items() if key in then and then[key] != now}


def captions_phrase(record: CaseRecord, baseline: Baseline | None, changed: Mapping[str, tuple[str, ...]]) -> str:
    """How many captions are not as they were, with up to three of them."""
    both = len(record.captions.keys() & baseline.captions.keys()) if baseline else 0
    if not both:
        return ""
    if not changed:
        return f"; all {both} captions unchanged, exactly"
    shown = ", ".join(f"image {key}: “{old}” → “{new}”" for key, (old, new) in list(changed.items())[:SHOWN])
    return f"; {len(changed)} of {both} captions changed ({shown})"


def seen_phrase(record: CaseRecord, line: Threshold, metric: Metric, found: Estimate) -> str:
    """The drop that a verdict on captions could have seen: a pass that could not have failed is worth nothing."""
    images = len(record.captions)
    if found.low < found.high:
        return f"; {found.n} images could have shown a drop of {detectable_drop(found):.1%}"
    if line.against is Against.LIMIT and metric.exact and metric.better is Better.LOWER and metric.name.endswith("_share"):
        return f"; {images} images show a share of {1 - 0.05 ** (1 / max(images, 1)):.1%} in 19 of 20 such sets"
    return f"; on these {images} images any drop beyond the line shows"
