"""A small but realistic run, written by hand: two models, a failing, an unresolved and a skipped case, blocks with placebo."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vlmgate.spec import (
    Against,
    Block,
    CaseRecord,
    Environment,
    Estimate,
    Failure,
    Outcome,
    Question,
    Run,
    Settings,
    Verdict,
)

WOBBLE = (-0.02, 0.02, -0.01, 0.01, -0.03, 0.03)  # of the logarithm, one a block; sums to zero
SETTINGS = Settings(batch=1, new_tokens=16, max_tokens=24, threads=2, images=4, timed_images=2, rounds=3)
KEY = {"cpu": "Test CPU", "isa": "avx512_vnni", "cores": 2, "threads": 2, "gpu": "", "os": "Linux x86_64", "image_backend": "pil"}
INFO = {"python": "3.11.9", "versions": {"torch": "2.13.0", "transformers": "5.23.0"}, "commit": "c" * 40, "dirty": False}
ENVIRONMENT = Environment(KEY, INFO, "test-avx512-2c-2t-00000000")
FAIL = (
    "scene-blip/pruned/scenes: CIDEr retention 71.0% (66.2% to 75.9%, 4 images) misses its floor of 95.0% against fp32 in this "
    "run; look at the captions in run.json that differ from the reference's, or change the line in suite.yaml and write down the "
    "reason"
)
UNRESOLVED = (
    "scene-blip/int8-dynamic/scenes: speed-up 1.25× (1.22× to 1.28×, 6 blocks) cannot be told from its floor of 1.24× against "
    "fp32 in this run; about 40 blocks would decide (--blocks 40)"
)
CRASH = "blip-base/int8-dynamic/scenes: SIGKILL while loading: the worker was killed by SIGKILL; free some memory"
NO_CUDA = "needs a CUDA device: run on a machine with an NVIDIA GPU"


def verdict(case: str, metric: str, question: Question, outcome: Outcome, sentence: str = "", **more: Any) -> Verdict:
    words = sentence or f"{case}: {metric} {'skipped: ' + NO_CUDA if outcome is Outcome.SKIP else 'holds its line'}"
    return Verdict(case, metric, question, Against.REFERENCE, outcome, words, **more)


def record(model: str, variant: str, **changes: Any) -> CaseRecord:
    """A measured case of dataset scenes; the reference is fp32."""
    fields: dict[str, Any] = {
        "id": f"{model}/{variant}/scenes",
        "model": model,
        "variant": variant,
        "dataset": "scenes",
        "reference": "" if variant == "fp32" else f"{model}/fp32/scenes",
        "questions": tuple(Question),
        "settings": SETTINGS,
        "recipe": {"steps": [], "backend": "torch", "device": "cpu", "dtype": "float32"},
        "checkpoint": "f" * 64,
        "exact": {"size": 40e6, "parameters": 10e6},
        "memory": {"peak_memory": (500e6,), "heap_peak": (100e6,)},
        "captions": {str(i): f"a red cube number {i}" for i in range(4)},
        "quality": {str(i): (1.0,) * 13 for i in range(4)},
        "scores": {"bleu_1": 0.9, "bleu_2": 0.88, "bleu_3": 0.86, "bleu_4": 0.8, "rouge_l": 0.9, "cider": 5.0},
        "signature": "tokenizer ptb | pycocoevalcap 1.2 | 4 images | 5 references",
    }
    return CaseRecord(**{**fields, **changes})


def block(group: str, index: int, arms: Mapping[str, float], wobble: Mapping[str, float] | None = None) -> Block:
    """Arms at the given seconds a call, all images and rounds alike but for one slow round which the median must not see.

    ``wobble`` is added to the logarithm of an arm's times.
    """
    seconds = {arm: time * math.exp((wobble or {}).get(arm, 0.0)) for arm, time in arms.items()}
    times = {arm: ((s, s, 3 * s), (s, 3 * s, s)) for arm, s in seconds.items()}
    first = {arm: (s / 4, s / 4) for arm, s in seconds.items()}
    warmup = {arm: (2 * s, s) for arm, s in seconds.items()}
    return Block(group, index, 7 + index, (1, 2), times, first, warmup, (0.01, 0.01, 0.01), 3.2)


def blocks(group: str, arms: Mapping[str, float], wobbling: Sequence[str] = ()) -> tuple[Block, ...]:
    """Six blocks; the times of the arms in ``wobbling`` move by WOBBLE from block to block."""
    return tuple(block(group, i, arms, dict.fromkeys(wobbling, shift)) for i, shift in enumerate(WOBBLE))


def make_run(**changes: Any) -> Run:
    """scene-blip with fp32, int8-dynamic (1.25×, unresolved speed) and pruned (fails CIDEr); blip-base with fp32,
    int8-dynamic (killed while loading) and fp16-cuda (skipped). 9 gates: 5 pass, 3 fail, 1 unresolved; 2 skipped.

    int8-dynamic takes 0.064 s against 0.080 s, half the memory, a quarter of the size, 0.98 of BLEU-4 and 0.99 of CIDEr.
    The placebo is exactly as fast as the reference but for WOBBLE.
    """
    speed, memory, size, quality = Question.LATENCY, Question.MEMORY, Question.SIZE, Question.QUALITY
    small = {"exact": {"size": 10e6, "parameters": 10e6}, "memory": {"peak_memory": (250e6,)}}
    captions = {"0": "a red cube number 0", "1": "a <b>blue</b> | cube", "2": "a red cube number 2", "3": "=a red cube"}
    scores = {"bleu_1": 0.9, "bleu_2": 0.88, "bleu_3": 0.86, "bleu_4": 0.784, "rouge_l": 0.9, "cider": 4.95}
    empty: dict[str, Any] = {key: {} for key in ("exact", "memory", "captions", "quality", "scores")} | {"signature": ""}
    killed = Failure("int8-dynamic", "loading", "SIGKILL", "the worker was killed by SIGKILL", "last words")
    big = {"exact": {"size": 895.9e6}, "memory": {"peak_memory": (2e9, 2.2e9)}, "captions": {}, "quality": {}, "scores": {}}
    cases = (
        record("scene-blip", "fp32"),
        record("scene-blip", "int8-dynamic", **small, captions=captions, scores=scores),
        record("scene-blip", "pruned", scores=scores | {"cider": 3.55}),
        record("blip-base", "fp32", **big, signature="", questions=(speed, memory, size)),
        record("blip-base", "int8-dynamic", **empty, questions=(speed, memory), failure=killed),
        record("blip-base", "fp16-cuda", **empty, skip=NO_CUDA),
    )
    int8, pruned, base = "scene-blip/int8-dynamic/scenes", "scene-blip/pruned/scenes", "blip-base/int8-dynamic/scenes"
    near = Estimate(1.25, 1.22, 1.28, 6, 0.95, "ratio, t, 6 blocks, df 5")
    verdicts = (
        verdict(int8, "time_per_caption", speed, Outcome.UNRESOLVED, UNRESOLVED, line=1.24, estimate=near),
        verdict(int8, "peak_memory", memory, Outcome.PASS, reason="the point of INT8"),
        verdict(int8, "size", size, Outcome.PASS),
        verdict(int8, "cider", quality, Outcome.PASS),
        verdict(pruned, "time_per_caption", speed, Outcome.PASS),
        verdict(pruned, "size", size, Outcome.PASS),
        verdict(pruned, "cider", quality, Outcome.FAIL, FAIL, line=0.95, reason="captions must stay usable"),
        verdict(base, "worker", speed, Outcome.FAIL, CRASH),
        verdict(base, "worker", memory, Outcome.FAIL, CRASH),
        verdict("blip-base/fp16-cuda/scenes", "time_per_caption", speed, Outcome.SKIP),
        verdict("blip-base/fp16-cuda/scenes", "size", size, Outcome.SKIP),
    )
    arms = {"fp32": 0.080, "int8-dynamic": 0.064, "pruned": 0.080, "placebo": 0.080}
    fields: dict[str, Any] = {
        "name": "20250101T000000Z-smoke",
        "tier": "smoke",
        "started": "2025-01-01T00:00:00+00:00",
        "seconds": 80.0,
        "status": "complete",
        "environment": ENVIRONMENT,
        "suite": "0" * 64,
        "datasets": {"scenes": "d" * 64},
        "cases": cases,
        "blocks": (
            *blocks("scene-blip/scenes", arms, ("int8-dynamic", "placebo")),
            *blocks("blip-base/scenes", {"fp32": 1.6, "placebo": 1.6}),
        ),
        "failures": (killed,),
        "verdicts": verdicts,
        "phases": {"captioning": 12.0, "timing": 60.0},
    }
    return Run(**{**fields, **changes})


def with_outcomes(run: Run, outcome: Outcome) -> Run:
    """The same run with every verdict of one outcome."""
    return replace(run, verdicts=tuple(replace(each, outcome=outcome) for each in run.verdicts))
