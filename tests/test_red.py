"""Red when it must be, on the model and the images that ship here: the gates of benchmarks/suite.yaml can fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from vlmgate.record import read_run
from vlmgate.spec import Outcome, Run

ROOT = Path(__file__).parent.parent
DAMAGED = 0.7  # share of weights set to zero; the card of scene-blip shows that a quarter of its CIDEr is left
SLOW = """
from vlmgate.spec import Step, Variant

VARIANTS = {"delayed": Variant("delayed", (Step("slowed", {"share": 0.0}),))}
"""


def pytest_run(folder: Path, suite: dict[str, object], *options: str) -> tuple[int, Run]:
    """Run benchmarks/ with another suite file, whose fixtures are the repository's."""
    home = folder / "benchmarks"
    home.mkdir(exist_ok=True)
    if not (folder / "fixtures").exists():
        (folder / "fixtures").symlink_to(ROOT / "fixtures")
    (home / "suite.yaml").write_text(yaml.safe_dump(suite), encoding="utf-8")
    results = folder / f"results-{len(list(folder.iterdir()))}"
    command = [sys.executable, "-m", "pytest", str(ROOT / "benchmarks"), "-q", "-p", "no:cacheprovider"]
    command += [
        "--suite",
        str(home / "suite.yaml"),
        "--results",
        str(results),
        "--baselines",
        str(folder / "baselines"),
        *options,
    ]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=600
    )
    assert results.exists(), done.stdout + done.stderr
    (run,) = results.iterdir()
    return done.returncode, read_run(run)


def with_tier(variants: list[str], questions: list[str], **settings: int) -> dict[str, object]:
    """The shipped suite with one tier of scene-blip, and the thresholds that fit it."""
    suite: dict[str, object] = yaml.safe_load((ROOT / "benchmarks" / "suite.yaml").read_text(encoding="utf-8"))
    cases = {"models": ["scene-blip"], "variants": variants, "datasets": ["scenes"], "questions": questions}
    suite["tiers"] = {"default": {"about": "one question", "cases": [cases | {"settings": {"threads": 1, **settings}}]}}
    return suite


def only(suite: dict[str, object], *patterns: str) -> dict[str, object]:
    """The suite with just the thresholds whose pattern is one of ``patterns`` and whose metric the tier asks."""
    kept = [line for line in suite["thresholds"] if line["cases"] in patterns]  # type: ignore[attr-defined]
    return suite | {"thresholds": kept}


def test_a_damaged_model_fails_its_quality_gates(tmp_path: Path) -> None:
    suite = with_tier(["fp32", "pruned"], ["quality", "size"], images=60)
    suite = only(suite, "scene-blip/pruned*/*") | {"variants": {"pruned": {"l1_prune": {"amount": DAMAGED}}}}
    status, run = pytest_run(tmp_path, suite, "--benchmark-disable")
    failed = {verdict.metric for verdict in run.verdicts if verdict.outcome is Outcome.FAIL}
    assert status == 1
    assert failed == {"cider", "bleu_4"}
    assert all("against fp32 in this run" in v.sentence for v in run.verdicts if v.outcome is Outcome.FAIL)


def test_a_floor_set_too_high_fails(tmp_path: Path) -> None:
    suite = with_tier(["fp32", "int8-dynamic"], ["size"])
    line = {"cases": "scene-blip/int8-dynamic/*", "metric": "size", "against": "reference", "floor": 0.75, "reason": "too much"}
    status, run = pytest_run(tmp_path, suite | {"thresholds": [line]}, "--benchmark-disable")
    (verdict,) = [verdict for verdict in run.verdicts if verdict.metric == "size"]
    assert (status, verdict.outcome) == (1, Outcome.FAIL)
    assert "72.5%" in verdict.sentence
    assert "floor of 75.0%" in verdict.sentence


@pytest.mark.slow
def test_a_slow_down_after_promotion_is_red_against_the_baseline(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "delayed.py").write_text(SLOW, encoding="utf-8")
    line = {
        "cases": "scene-blip/delayed/*",
        "metric": "time_per_caption",
        "against": "baseline",
        "tolerance": 0.15,
        "reason": "as fast",
    }
    suite = with_tier(["fp32", "delayed"], ["latency"], timed_images=4, rounds=3, blocks=6, new_tokens=16)
    suite |= {"plugins": ["delayed.py"], "thresholds": [line]}
    before, first = pytest_run(tmp_path, suite)
    assert before == 0
    promote = [sys.executable, "-m", "vlmgate", "promote", "--suite", str(tmp_path / "benchmarks" / "suite.yaml")]
    promote += [
        "--results",
        str(next(tmp_path.glob("results-*"))),
        "--reason",
        "first",
        "--force",  # six blocks are enough for a change as large as this one
        "--baselines",
        str(tmp_path / "baselines"),
    ]
    subprocess.run(promote, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    same, again = pytest_run(tmp_path, suite)
    slower, last = pytest_run(tmp_path, suite | {"variants": {"delayed": {"slowed": {"share": 0.5}}}})
    found = [next(v for v in run.verdicts if v.case == "scene-blip/delayed/scenes") for run in (first, again, last)]
    assert [verdict.outcome for verdict in found] == [Outcome.SKIP, Outcome.PASS, Outcome.FAIL], [v.sentence for v in found]
    assert (same, slower) == (0, 1)
