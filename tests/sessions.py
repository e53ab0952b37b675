"""Sessions on a tiny model: for real, and with answers made up where 24 real blocks would take long."""

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs import NEW_TOKENS, ROOT, write_tricks

from vlmgate.datasets import DATASETS
from vlmgate.measure import Answer
from vlmgate.metrics import METRICS
from vlmgate.models import MODELS
from vlmgate.running import Options, Session
from vlmgate.spec import CaseRecord, Failure, Question, Run, Verdict
from vlmgate.suite import load_suite
from vlmgate.variants import VARIANTS

LATENCY, MEMORY, SIZE, QUALITY, ENERGY = Question
SUITE = """\
schema: 1
plugins: [tricks.py]
settings: {{images: 4, timed_images: 2, rounds: 2, blocks: {blocks}, threads: 1, new_tokens: {new_tokens}, max_tokens: 8}}
tiers:
  smoke:
    cases:
      - {{models: {models}, variants: [fp32, slow, dies, fp16-cuda], datasets: [scenes]}}
thresholds:
  - {{cases: "*", metric: time_per_caption, against: reference, floor: {floor}, reason: speed}}
  - {{cases: "*", metric: peak_memory, against: reference, floor: -9, reason: memory}}
  - {{cases: "*", metric: parameters, against: limit, at_most: 1000000, reason: size}}
  - {{cases: "*", metric: agreement, against: limit, at_least: 1, reason: the same captions}}
"""
FP32, SLOW, DIES, CUDA = (f"tiny/{name}/scenes" for name in ("fp32", "slow", "dies", "fp16-cuda"))
ALL = tuple(Question)


class Place:
    """A folder with a plugin and a cache, in which sessions are run."""

    def __init__(self, folder: Path, checkpoint: Path, *, family: bool = False) -> None:
        self.folder, self.models = folder, "[tiny, tiny-random]" if family else "[tiny]"
        write_tricks(folder / "tricks.py", checkpoint, family=family)

    def session(
        self,
        selected: Mapping[str, tuple[Question, ...]],
        progress: Callable[[str], None] = lambda line: None,
        *,
        blocks: int = 24,
        floor: float = 0.001,
        **options: Any,
    ) -> Session:
        path = self.folder / "suite.yaml"
        text = SUITE.format(blocks=blocks, new_tokens=NEW_TOKENS, models=self.models, floor=floor)
        path.write_text(text, encoding="utf-8")
        suite = load_suite(path, MODELS, VARIANTS, DATASETS, METRICS)
        settings = Options(ROOT, self.folder / "cache", patience=120, **options)
        return Session(suite, suite.tier("smoke"), lambda case, q: q in selected.get(case, ()), settings, {}, progress)


def records(run: Run) -> dict[str, CaseRecord]:
    return {record.id: record for record in run.cases}


def verdicts(run: Run, case: str) -> dict[str, Verdict]:
    return {verdict.metric: verdict for verdict in run.verdicts if verdict.case == case}


class Made:
    """Answers without workers: each arm takes its seconds, with a spread that is the same for all but the reference."""

    def __init__(self, seconds: Mapping[str, float], failing: Mapping[str, Sequence[str]] | None = None) -> None:
        self.seconds, self.failing, self.jobs = seconds, failing or {}, Counter[str]()
        self.shift: Callable[[str, int], float] = lambda arm, seed: 1.0  # on an arm's seconds in the block of a seed
        self.gpu_free: float | None = None
        self.blocks: list[Mapping[str, Any]] = []  # the job of each block, in the order in which they ran
        self.workers: list[list[str]] = []  # arms of each block, in the order in which they ran
        self.pass_time: Callable[[], None] = lambda: None

    def __call__(self, do: str, job: Mapping[str, Any], **more: Any) -> Answer:
        self.jobs[do] += 1
        names = [variant["name"] for variant in job["variants"]] if do == "prepare" else [arm["name"] for arm in job["arms"]]
        for name in names:
            if name in self.failing.get(do, ()):
                return Answer(failure=Failure(name, "testing", "SIGKILL", "made up"))
        if do == "prepare":
            exact = {"weight_bytes": 1e6, "parameters": 5.0, "reloads": 1.0}
            told = {} if self.gpu_free is None else {"gpu_free": self.gpu_free}
            return Answer({name: {"folder": name, "exact": exact, "checkpoint": "c"} for name in names}, told)
        if do == "memory":
            return Answer(arms={name: {"peak_memory": 1e6} for name in names})
        if do == "caption":
            return Answer(arms={name: {"captions": [f"a red circle by {name}" for _ in job["images"]]} for name in names})
        assert do == "block"
        self.workers.append(names)
        self.blocks.append(job)
        self.pass_time()
        if listener := more.get("listener"):
            listener({"event": "tick", "done": 1, "of": 2})
        spread = random.Random(job["seed"])
        times = {
            name: [[self.seconds[name] * self.shift(name, job["seed"]) * math.exp(spread.gauss(0, 0.03))] * job["rounds"]] * 2
            for name in names
        }
        few = {name: [self.seconds[name]] * 2 for name in names}
        joules = (
            {"energy": {name: 10 * each[0][0] for name, each in times.items()}, "idle_power": 10.0} if job.get("energy") else {}
        )
        return Answer(result={"times": times, "first_token": few, "warmup": few, "yardstick": [0.1, 0.1], **joules})


SECONDS = {"fp32": 1.0, "placebo": 1.0, "slow": 1.0, "dies": 0.25, "fp16-cuda": 4.0}


def arms(run: Session, role: str = "look") -> Counter[str]:
    """How many blocks of this role each arm has."""
    return Counter(name for block in run.blocks if block.role == role for name in block.times)
