"""Where the time of a caption goes: first token, each further token, the spread of calls, throughput by batch size, energy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

import numpy as np

from vlmgate.spec import Block, CaseRecord


@dataclass(frozen=True)
class Anatomy:
    """Of one case, over all its blocks. Seconds a call (which captions a whole batch), images a second, joules a caption."""

    first_token: float  # image encoding and prefill
    per_token: float | None  # each further token; None where only one is generated
    p50: float
    p90: float
    tokens: int  # in each timed call, exactly
    throughput: Mapping[int, float] = field(default_factory=dict)  # batch size → images a second
    energy: float | None = None  # joules a caption above the idle power


def anatomy(record: CaseRecord, blocks: Sequence[Block]) -> Anatomy | None:
    """The anatomy of a case from the blocks in which it ran; None without any."""
    mine = [block for block in blocks if record.variant in block.times and record.variant in block.first_token]
    if not mine:
        return None
    batch, tokens = record.settings.batch, record.settings.new_tokens
    calls = np.array([t for block in mine for image in block.times[record.variant] for t in image]) * batch
    joules = [block.energy[record.variant] for block in mine if record.variant in block.energy]
    return Anatomy(
        first_token=fmean(fmean(block.first_token[record.variant]) for block in mine),
        per_token=_mean(lambda block: per_token(block, record.variant, tokens, batch), mine),
        p50=float(np.quantile(calls, 0.5)),
        p90=float(np.quantile(calls, 0.9)),
        tokens=tokens,
        throughput=throughput(mine, record.variant),
        energy=fmean(joules) if joules else None,
    )


def per_token(block: Block, variant: str, tokens: int, batch: int = 1) -> float | None:
    """Seconds of each token after the first: (whole call − call for one token) ÷ (tokens − 1), by image, then their mean."""
    if tokens < 2:
        return None
    whole = [median(rounds) * batch for rounds in block.times[variant]]
    pairs = zip(whole, block.first_token[variant], strict=True)
    return fmean((all_ - first) / (tokens - 1) for all_, first in pairs)


def throughput(blocks: Sequence[Block], variant: str) -> dict[int, float]:
    """Images a second at each batch size that was timed: size ÷ the mean over blocks of the seconds a call."""
    calls: dict[int, list[float]] = {}
    for block in blocks:
        for size, seconds in block.throughput.get(variant, {}).items():
            calls.setdefault(int(size), []).append(seconds)
    return {size: size / fmean(seconds) for size, seconds in sorted(calls.items())}


def _mean(of: Callable[[Block], float | None], blocks: Sequence[Block]) -> float | None:
    found = [value for block in blocks if (value := of(block)) is not None]
    return fmean(found) if found else None
