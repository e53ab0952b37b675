"""Small runs with something in every field, and processes of their own, shared by the tests of vlmgate.record."""

import math
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from vlmgate.spec import (
    Against,
    Block,
    CaseRecord,
    Change,
    Environment,
    Estimate,
    Failure,
    Outcome,
    Question,
    Run,
    Settings,
    Verdict,
)

ROOT = Path(__file__).parent.parent
KEY = {"cpu": "Test CPU", "isa": "avx2", "cores": 2, "threads": 2, "gpu": "", "os": "Linux x86_64", "image_backend": "pil"}
INFO = {"python": "3.11.0", "versions": {"torch": "2.0"}, "commit": "c" * 40, "dirty": False, "load_average": [0.5]}
ENVIRONMENT = Environment(KEY, INFO, "test-avx2-2c-2t-00000000")


def record(variant: str = "int8", dataset: str = "scenes", **changes: Any) -> CaseRecord:
    fields: dict[str, Any] = {
        "id": f"blip/{variant}/{dataset}",
        "model": "blip",
        "variant": variant,
        "dataset": dataset,
        "reference": f"blip/fp32/{dataset}",
        "questions": (Question.LATENCY, Question.SIZE),
        "settings": Settings(threads=1),
        "recipe": {"steps": [{"recipe": "dynamic", "amount": 0.3}]},
        "checkpoint": "abc",
        "exact": {"bytes": 123.0, "share": 0.1 + 0.2},
        "memory": {"peak": (1e9, 1.1e9)},
        "captions": {"7": "ein roter Würfel"},
        "quality": {"cider": (0.5, math.inf)},
        "scores": {"cider": 4.5},
        "signature": "n=1",
    }
    return CaseRecord(**{**fields, **changes})


def verdict(case: str, outcome: Outcome = Outcome.PASS, **changes: Any) -> Verdict:
    estimate = Estimate(1.2, 1.1, math.inf, 6, 0.99, "t")
    sentence = "1.2 is over 1.1"
    return Verdict(
        case, "speedup", Question.LATENCY, Against.REFERENCE, outcome, sentence, 1.1, estimate, Change.UNKNOWN, **changes
    )


def make_run(*cases: CaseRecord, **changes: Any) -> Run:
    cases = cases or (record("fp32"), record("int8"))
    times = {"fp32": ((0.1, 0.2), (0.3, 0.4))}
    block = Block("blip", 0, 7, (1, 2), times, {"fp32": (0.05, 0.06)}, {"fp32": (0.5,)}, (0.01,), 3.2)
    fields: dict[str, Any] = {
        "name": "20250101T000000Z-smoke",
        "tier": "smoke",
        "started": "2025-01-01T00:00:00+00:00",
        "seconds": 12.5,
        "status": "complete",
        "environment": ENVIRONMENT,
        "suite": "0" * 64,
        "datasets": dict.fromkeys((case.dataset for case in cases), "d" * 64),
        "cases": cases,
        "blocks": (block,),
        "failures": (Failure("fp32", "timing", "SIGKILL", "killed", "last words"),),
        "verdicts": tuple(verdict(case.id) for case in cases),
        "phases": {"timing": 10.0},
        "notes": ("a note",),
    }
    return Run(**{**fields, **changes})


def child(code: str, *arguments: object, limit: int | None = None) -> "subprocess.Popen[str]":
    """Python code in a process of its own, with a limit on the size of files (bytes) where given."""

    def restrict() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, stdin=pipe, text=True, env=environment, preexec_fn=restrict)
