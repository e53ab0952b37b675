"""Occasions: runs of the same thing, unchanged, whose levels give a baseline the spread between runs."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from vlmgate.spec import Baseline, VlmgateError
from vlmgate.stats import between_runs

TIME = "time_per_caption"  # the metric whose spread between runs is kept
MOST = 50  # occasions kept, the newest; a file must stay readable


def levels(values: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Mean, standard deviation and number of the block values of each metric."""
    return {
        metric: {"mean": statistics.fmean(block), "sd": statistics.stdev(block) if len(block) > 1 else None, "n": len(block)}
        for metric, block in values.items()
        if block
    }


def with_occasion(baseline: Baseline, run: str, commit: str, seen: Mapping[str, Any]) -> Baseline:
    """The baseline with one more occasion of its newest promotion, and the spread between runs that follows."""
    recorded = datetime.now(UTC).isoformat(timespec="seconds")
    entry = {"run": run, "of": baseline.run, "commit": commit, "recorded": recorded, "levels": dict(seen)}
    return with_spread(replace(baseline, occasions=(*baseline.occasions, entry)[-MOST:]))


def with_spread(baseline: Baseline) -> Baseline:
    """The baseline with the spread between runs that its promotions and occasions show.

    Runs are compared only with those of the same promotion, between which nothing was changed; the variances of several
    promotions are pooled by their degrees of freedom. ``between_runs`` is those degrees and one. What was measured with
    earlier settings or images counts no more.
    """
    eras: dict[str, list[tuple[float, float | None, int]]] = {}
    for entry in _as_now(baseline.history):
        eras[str(entry["run"])] = [level] if not entry.get("forced") and (level := _level(entry)) else []
    for entry in baseline.occasions:
        if (level := _level(entry)) and (era := eras.get(str(entry["of"]))) is not None:
            era.append(level)
    try:
        spreads = [spread for runs in eras.values() if (spread := between_runs(runs))]
    except ValueError as error:  # a level edited into nonsense
        raise VlmgateError(f"the baseline of {baseline.case} holds a level that is none ({error}); restore the file") from None
    df = sum(spread.df for spread in spreads)
    if not df:
        return replace(baseline, between_sd=None, between_runs=0)
    pooled = sum(spread.df * spread.sd**2 for spread in spreads) / df
    return replace(baseline, between_sd=pooled**0.5, between_runs=round(df) + 1)


def _as_now(history: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The promotions since settings or images (``other``) last changed."""
    changed = [place for place, entry in enumerate(history) if entry.get("other")]
    return history[changed[-1] :] if changed else history


def _level(entry: Mapping[str, Any]) -> tuple[float, float | None, int] | None:
    """(mean, sd, n) of the time in a promotion or an occasion; None where it was not timed."""
    found = entry.get("levels", {}).get(TIME)
    return (float(found["mean"]), None if found["sd"] is None else float(found["sd"]), found["n"]) if found else None
