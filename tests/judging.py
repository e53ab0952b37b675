"""Runs of one case and its reference, as small as a verdict allows, shared by the tests of vlmgate.judge."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle, islice
from typing import Any

import numpy as np
from scipy import special

from vlmgate.judge import judge_run
from vlmgate.judge.confirm import CONFIRMING
from vlmgate.metrics import METRICS, scores
from vlmgate.spec import (
    Against,
    Baseline,
    Block,
    CaseRecord,
    Environment,
    Metric,
    Question,
    Run,
    Settings,
    Threshold,
    Verdict,
    Waiver,
)

CASE, FP32 = "m/int8/d", "m/fp32/d"
IMAGES = 40


def wobble(n: int, sd: float = 0.01, turn: int = 0) -> list[float]:
    """Normal quantiles of mean 0 and standard deviation ``sd``, in an order that is no trend; ``turn`` gives another one."""
    values = special.ndtri((np.arange(n) + 0.5) / n)
    scale = sd / values.std(ddof=1) if n > 1 else 0.0
    return [float(x * scale) for x in np.random.default_rng(turn).permutation(values)]


def blocks(
    speed_up: float = 1.5,
    n: int = 6,
    sd: float = 0.01,
    *,
    placebo: float = 1.0,
    reference: float = 0.1,
    placebo_sd: float = 0.002,
) -> tuple[Block, ...]:
    """``n`` blocks in which int8 takes ``reference`` ÷ ``speed_up`` seconds; all arms wobble from block to block."""
    rows = zip(wobble(n, sd, 1), wobble(n, placebo_sd, 2), wobble(n, 0.003, 3), strict=True)
    return tuple(
        block(
            i,
            fp32=reference * math.exp(c),
            int8=reference / speed_up * math.exp(a + c),
            placebo=reference / placebo * math.exp(b + c),
        )
        for i, (a, b, c) in enumerate(rows)
    )


def confirming(timed: Sequence[Block], n: int = CONFIRMING) -> tuple[Block, ...]:
    """The same blocks over again as ``n`` new ones that were measured to confirm a fail."""
    return tuple(replace(each, role="confirm", index=index) for index, each in enumerate(islice(cycle(timed), n)))


def block(index: int, **seconds: float) -> Block:
    times = {arm: ((s, s, s), (s, s, s)) for arm, s in seconds.items()}
    energy = {arm: 200 * s for arm, s in seconds.items()}
    return Block("m/d", index, index, (0, 1), times, {}, {}, (0.02, 0.02, 0.02), 1.0, energy=energy)


def statistics(hits: int = IMAGES, cider: float = 5.0) -> dict[str, tuple[float, ...]]:
    """Captions of ten words, all of them found in a reference for the first ``hits`` images and half of them for the others."""
    found = {True: (10.0, 9.0, 8.0, 7.0), False: (5.0, 4.0, 3.0, 2.0)}
    rows = ((*found[i < hits], 10.0, 9.0, 8.0, 7.0, 10.0, 10.0, 0.9, cider + i % 3, 10.0) for i in range(IMAGES))
    return {str(i): row for i, row in enumerate(rows)}


def totals(quality: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: float(value[0]) for name, value in scores.unsmoothed(np.asarray(list(quality.values()))).items()}


def record(variant: str, **changes: Any) -> CaseRecord:
    """A measured case; int8 is a quarter of the reference's size and takes half of its memory."""
    small = variant == "int8"
    quality = changes.pop("quality", statistics())
    fields: dict[str, Any] = {
        "id": f"m/{variant}/d",
        "model": "m",
        "variant": variant,
        "dataset": "d",
        "reference": FP32 if small else "",
        "questions": tuple(Question),
        "settings": Settings(),
        "recipe": {},
        "checkpoint": "c",
        "exact": {"size": 25e6 if small else 100e6, "low_precision_share": 0.9 if small else 0.0, "reloads": 1.0},
        "memory": {"peak_memory": (2e8,) if small else (4e8,)},
        "captions": dict.fromkeys(quality, "a red cube"),
        "quality": quality,
        "scores": totals(quality) if quality else {},
        "signature": "tokenizer t",
    }
    return CaseRecord(**{**fields, **changes})


def run_of(*cases: CaseRecord, timed: Sequence[Block] = (), **changes: Any) -> Run:
    environment = Environment({}, {}, "here")
    fields: dict[str, Any] = {"status": "complete", "datasets": {"d": "sha"}, "failures": (), "verdicts": (), "phases": {}}
    return Run(
        "r1",
        "smoke",
        "2025-01-01T00:00:00+00:00",
        1.0,
        environment=environment,
        suite="s",
        cases=cases,
        blocks=tuple(timed),
        **fields | changes,
    )


def baseline_of(record: CaseRecord, values: Sequence[float] = (), **changes: Any) -> Baseline:
    """What promotion keeps of a record; ``values`` are its block values."""
    fields: dict[str, Any] = {
        "case": record.id,
        "environment": "here",
        "run": "r0",
        "commit": "c0",
        "promoted": "2025-01-01T00:00:00+00:00",
        "reason": "",
        "forced": False,
        "settings": record.settings,
        "dataset": "sha",
        "blocks": {"time_per_caption": tuple(values)} if values else {},
        "exact": record.exact,
        "memory": record.memory,
        "scores": record.scores,
        "captions": record.captions,
    }
    return Baseline(**{**fields, **changes})


def line(metric: str, against: str, number: float, case: str = CASE) -> Threshold:
    return Threshold(case, metric, Against(against), number, "because")


def judge(
    threshold: Threshold | Sequence[Threshold],
    case: CaseRecord | None = None,
    reference: CaseRecord | None = None,
    timed: Sequence[Block] = (),
    baseline: Baseline | None = None,
    metrics: Mapping[str, Metric] = METRICS,
    *,
    timing: bool = True,
    waivers: Sequence[Waiver] = (),
    confirmed: bool = True,
) -> Verdict:
    """The verdict on the first of the thresholds; the others only share its family.

    Where ``timed`` holds no blocks that confirm a fail, its own stand in for them, unless not ``confirmed``.
    """
    if confirmed and not any(each.role == "confirm" for each in timed):
        timed = [*timed, *confirming(timed)]
    lines = [threshold] if isinstance(threshold, Threshold) else list(threshold)
    case, reference = case or record("int8"), reference or record("fp32")
    asked = {
        case.id: [each for each in lines if each.cases == case.id],
        reference.id: [x for x in lines if x.cases == reference.id],
    }
    promoted = {baseline.case: baseline} if baseline else {}
    found = judge_run(run_of(reference, case, timed=timed), asked, metrics, promoted, timing=timing, waivers=waivers)
    first = lines[0]
    return next(v for v in found if (v.case, v.metric, v.against) == (first.cases, first.metric, first.against))
