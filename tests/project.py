"""A user's project in miniature: the repository's conftest.py and benchmarks/ with a tiny model and four scenes."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tiny import write_plugin

from vlmgate.datasets.build import build_scenes
from vlmgate.record import baseline_path, read_run
from vlmgate.record.baselines import text_of
from vlmgate.spec import Baseline, Run, Settings

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 300  # seconds after which a command counts as hung
SUITE = """\
schema: 1
plugins: [tiny.py]
settings: {images: 4, timed_images: 2, rounds: 2, blocks: 6, threads: 1, new_tokens: 4, max_tokens: 8}
variants:
  slow: {slowed: {share: SHARE}}
  pruned: {l1_prune: {amount: 0.95}}
tiers:
  default:
    about: every outcome
    cases:
      - {models: [tiny], variants: [fp32, int8-dynamic, fp16-cuda], datasets: [scenes]}
      - {models: [tiny], variants: [slow, idle, pruned], datasets: [scenes], questions: [latency, size, quality]}
thresholds:
  - {cases: "tiny/*", metric: parameters, against: limit, at_most: 1000000, reason: it must stay small}
  - {cases: "tiny/int8*", metric: time_per_caption, against: reference, floor: FLOOR, reason: the point of INT8}
  - {cases: "tiny/int8*", metric: size, against: reference, floor: 0.05, reason: the point of INT8}
  - {cases: "tiny/int8*", metric: peak_memory, against: reference, floor: -5, reason: it must still fit}
  - {cases: "tiny/int8*", metric: low_precision_share, against: limit, at_least: 0.3, reason: it must have been done}
  - {cases: "tiny/slow/*", metric: time_per_caption, against: baseline, tolerance: 10%, reason: no slower than promised}
  - {cases: "tiny/slow/*", metric: agreement, against: limit, at_least: 1, reason: only time was changed}
  - {cases: "tiny/idle/*", metric: low_precision_share, against: limit, at_least: 0.3, reason: it must have been done}
  - {cases: "tiny/idle/*", metric: bits_per_weight, against: limit, at_most: 9, reason: it must have been done}
  - {cases: "tiny/pruned/*", metric: agreement, against: limit, at_least: 0.9, reason: captions must stay the same}
"""
SMALLEST = """\
schema: 1
plugins: [tiny.py]
settings: {images: 4, timed_images: 2, rounds: 2, blocks: 6, threads: 1, new_tokens: 4, max_tokens: 8}
tiers:
  default:
    cases:
      - {models: [tiny], variants: [fp32], datasets: [scenes], questions: [size]}
"""
IDLE = """
VARIANTS["idle"] = Variant("idle", (Step("idle", {}),), about="a compression that silently does nothing")
RECIPES = {"idle": __name__}
KEEPS_WEIGHTS = True  # else preparing it would find it out, and no gate would be asked


def missing(parameters):
    return ""


def apply(model, prefixes, parameters):
    pass
"""


def suite_text(share: float = 0.0, floor: float = 0.001) -> str:
    """The suite with a slow-down of ``slow`` (share of its own time) and a floor under INT8's speed-up."""
    return SUITE.replace("SHARE", str(share)).replace("FLOOR", str(floor))


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str
    results: Path

    @property
    def folder(self) -> Path:
        """The folder of the one run that was written."""
        (folder,) = self.results.iterdir()
        return folder

    @property
    def run(self) -> Run:
        return read_run(self.folder)


@dataclass(frozen=True)
class Project:
    """The folder of the project; commands run in processes of their own."""

    root: Path

    def pytest(self, *arguments: object, results: Path | None = None, cwd: Path | None = None, **more: str) -> Done:
        """Run pytest; runs go to ``results`` (default: beside benchmarks/, as for a user)."""
        where = ["--results", results] if results else []
        return self.python("-m", "pytest", *arguments, *where, results=results, cwd=cwd, **more)

    def vlmgate(self, *arguments: object, cwd: Path | None = None) -> Done:
        return self.python("-m", "vlmgate", *arguments, cwd=cwd)

    def python(self, *arguments: object, results: Path | None = None, cwd: Path | None = None, **more: str) -> Done:
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(
            command, cwd=cwd or self.root, env=self.environment(**more), capture_output=True, text=True, timeout=PATIENCE
        )
        return Done(done.returncode, done.stdout, done.stderr, results or self.root / "results")

    def environment(self, **more: str) -> dict[str, str]:
        """What a user's shell would hold, and no GPU, so that every machine skips the same."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COV_"))}
        own = {
            "PYTHONPATH": str(ROOT),
            "VLMGATE_CACHE": str(self.root / "cache"),
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
        }
        return {**kept, **own, **more}

    def suite(self, name: str, text: str) -> Path:
        """Another suite file beside suite.yaml."""
        path = self.root / "benchmarks" / name
        path.write_text(text, encoding="utf-8")
        return path


def write_baseline(root: Path, environment: str, case: str, **memory: tuple[float, ...]) -> None:
    """A baseline of tier default that answers size, and memory where peaks are given."""
    values: dict[str, dict[str, float]] = {"blocks": {}, "scores": {}, "captions": {}, "exact": {"size": 1.0}}
    when = "2026-01-01T00:00:00"
    then = Baseline(case, environment, "r0", "c", when, "", False, Settings(), "s", memory=memory, tier="default", **values)
    path = baseline_path(root, environment, case)
    path.parent.mkdir(parents=True)
    path.write_text(text_of(then, path), encoding="utf-8")


def make_project(root: Path, checkpoint: Path) -> Project:
    """Write the project to ``root`` and return it."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "pyproject.toml").write_text("[tool.pytest.ini_options]\n", encoding="utf-8")
    shutil.copy(ROOT / "conftest.py", root)
    (root / "benchmarks").mkdir()
    for path in (ROOT / "benchmarks").glob("test_*.py"):
        shutil.copy(path, root / "benchmarks")
    plugin = write_plugin(root / "benchmarks" / "tiny.py", checkpoint)
    plugin.write_text(plugin.read_text(encoding="utf-8") + IDLE, encoding="utf-8")
    build_scenes(root / "fixtures" / "scenes", images=4)
    project = Project(root)
    project.suite("suite.yaml", suite_text())
    return project


@lru_cache
def shared_project(folder: Path, checkpoint: Path) -> Project:
    """One project for all test files: made when it is first asked for."""
    return make_project(folder / "project", checkpoint)


@lru_cache
def first_run(project: Project) -> Done:
    """Everything asked of every variant once, in two blocks; its record lies in results/ and nothing else does."""
    files = "--junitxml=first.xml", "--benchmark-json=first.json", "--benchmark-autosave"
    return project.pytest("benchmarks", "-v", "--blocks=2", "--rounds=2", *files)


def times(path: Path) -> dict[str, list[float]]:
    """Test name → the times that pytest-benchmark wrote to a JSON file, sorted."""
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {one["name"]: sorted(one["stats"]["data"]) for one in data["benchmarks"]}
