"""The repository around the package: what lies at the top, packaging, lock, tox, .ci/run and workflows."""

import ast
import configparser
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {"benchmarks", "fixtures", "baselines", "conftest.py", "tox.ini", "pyproject.toml", "README.md", "docs", "tests"} | {
    *("CHANGELOG.md", "LICENSE", "constraints.txt", "vlmgate"),
}
LARGEST = 25_000_000  # bytes of one tracked file
# The classes in brackets keep the pattern from finding itself; the CPU build's own index is allowed
REGISTRY_HOSTS = re.compile(r"python[h]osted|pypi[.]org|pi[w]heels[.]org|art[i]factory|ana[c]onda[.]org")
WORKFLOWS = ("tests", "gate", "gpu", "selftest")
SCRIPTS = sorted([*(ROOT / "docs").glob("*.py"), *(ROOT / "fixtures" / "models").glob("*.py")])


def tracked() -> list[str]:
    """Paths that git tracks, relative to the root; skips the test where git or the checkout is absent."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed, so what is tracked cannot be listed")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip(f"not a git checkout: {listed.stderr.strip()}")
    return [path for path in listed.stdout.split("\0") if path]


def strangers(paths: list[str]) -> set[str]:
    """Names at the top which are neither on the list nor dot-files."""
    return {top for top in (path.split("/")[0] for path in paths) if top not in ALLOWED and not top.startswith(".")}


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def locked() -> dict[str, Version]:
    lines = (line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines())
    pins = [line.partition("==") for line in lines if line]
    assert all(sign and version for _, sign, version in pins), "constraints.txt holds a line that is not name==version"
    return {canonicalize_name(name): Version(version) for name, _, version in pins}


def workflow(name: str) -> dict[Any, Any]:
    loaded = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in workflow(name)["jobs"].values() for step in job["steps"]]


def triggers(name: str) -> set[str]:
    return set(workflow(name)[True])  # YAML 1.1 reads the key `on` as true


def one_line(text: str) -> str:
    """Joins continued lines and runs of blanks, so that a command may be broken with a backslash."""
    return re.sub(r"\s+", " ", text.replace("\\\n", " "))


def ci_functions() -> dict[str, str]:
    """Name → command of the functions in .ci/run."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    return {name: one_line(body).strip() for name, body in re.findall(r"^(\w+)\(\) \{\n(.*?)^\}", script, re.M | re.S)}


def test_nothing_else_lies_at_the_top() -> None:
    assert strangers(tracked()) == set()


def test_a_stranger_at_the_top_is_seen() -> None:
    assert strangers(["vlmgate/spec.py", ".ci/run", "setup.py", "scripts/x.sh"]) == {"setup.py", "scripts"}


def test_no_tracked_file_is_large() -> None:
    sizes = {path: (ROOT / path).stat().st_size for path in tracked() if (ROOT / path).is_file()}
    assert {path: size for path, size in sizes.items() if size > LARGEST} == {}


def test_a_package_registry_is_seen() -> None:
    assert REGISTRY_HOSTS.search("--index-url https://test.pypi" + ".org/simple")
    assert not REGISTRY_HOSTS.search("--extra-index-url https://download.pytorch.org/whl/cpu")


def test_no_tracked_file_names_a_package_registry() -> None:
    texts = {path: (ROOT / path).read_bytes().decode("utf-8", "ignore") for path in tracked() if (ROOT / path).is_file()}
    assert {path: found[0] for path, text in texts.items() if (found := REGISTRY_HOSTS.search(text))} == {}


def test_the_lock_pins_every_dependency_within_its_bounds() -> None:
    declared = project()["project"]
    wanted = list(declared["dependencies"]) + [line for extra in declared["optional-dependencies"].values() for line in extra]
    lock = locked()
    requirements = [Requirement(line) for line in wanted if not line.startswith("vlmgate[")]  # an extra of our own
    unpinned = [str(each) for each in requirements if canonicalize_name(each.name) not in lock]
    assert unpinned == []
    outside = [str(each) for each in requirements if not each.specifier.contains(lock[canonicalize_name(each.name)])]
    assert outside == []


def test_the_lock_names_no_local_build() -> None:
    assert [name for name, version in locked().items() if version.local] == []


def test_the_core_is_what_the_design_says() -> None:
    declared = {canonicalize_name(Requirement(line).name) for line in project()["project"]["dependencies"]}
    assert declared == {
        *("pytest", "pytest-benchmark", "torch", "transformers", "pillow", "memray", "pycocoevalcap", "tabulate", "pyyaml"),
        *("numpy", "scipy", "safetensors", "jsonschema"),
    }


def test_plugin_has_one_name_in_entry_point_and_conftest() -> None:
    # pytest refuses to register one module under two names, and dies before the first test
    assert project()["project"]["entry-points"]["pytest11"] == {"vlmgate.plugin": "vlmgate.plugin"}
    conftest = ROOT / "conftest.py"
    if not conftest.exists():
        pytest.skip("no conftest.py: the package was unpacked without the suite")
    values = [node.value for node in ast.parse(conftest.read_text(encoding="utf-8")).body if isinstance(node, ast.Assign)]
    assert [ast.literal_eval(value) for value in values] == [["vlmgate.plugin"]]


def test_package_data_is_declared() -> None:
    assert (ROOT / "vlmgate" / "py.typed").exists()
    patterns = project()["tool"]["setuptools"]["package-data"]["vlmgate"]
    data = [path for path in (ROOT / "vlmgate").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    undeclared = [path for path in data if path.parent.name != "vlmgate" or not any(path.match(each) for each in patterns)]
    assert undeclared == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_beside_the_package_still_fit_it(script: Path) -> None:
    """They are measured with by hand only, so what they import could go without anybody noticing."""
    told = subprocess.run([sys.executable, str(script), "--help"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0 and "usage:" in told.stdout, told.stderr


def test_tox_environments() -> None:
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "tox.ini", encoding="utf-8")
    assert {name.partition(":")[2] for name in config.sections() if ":" in name} == {"bench", "tests", "slow", "gpu", "lint"}
    assert config["testenv"]["constraints"] == "constraints.txt"
    assert "pytest benchmarks/ --tier gpu" in config["testenv:gpu"]["commands"]
    assert config["testenv:gpu"]["extras"] == "bnb,gpu"
    assert all(check in config["testenv:lint"]["commands"] for check in ("ruff check", "ruff format --check", "mypy --strict"))


def test_ci_run_is_executable_and_parses() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_ci_run_does_every_step_and_closes_with_the_tests() -> None:
    functions = ci_functions()
    called = re.findall(r"^(?:step )?(environment|lint|types|smoke|tests)\b(?!\()", (ROOT / ".ci" / "run").read_text(), re.M)
    assert called == ["environment", "lint", "types", "smoke", "tests"]
    assert functions["smoke"] == ".venv/bin/pytest benchmarks/ --tier smoke --benchmark-autosave"
    assert "--strict" not in functions["smoke"]  # an unresolved verdict is no failure


@pytest.mark.parametrize("job", [".venv/bin/pytest benchmarks/ --benchmark-autosave", '.venv/bin/pytest tests/ -m "not slow"'])
def test_readme_opens_with_the_commands_of_ci_run(job: str) -> None:
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("no README.md yet")
    functions = ci_functions()
    assert f"{functions['environment']} && {job}" in one_line(readme.read_text(encoding="utf-8"))
    assert job in one_line(functions["smoke"].replace("--tier smoke ", "") + functions["tests"])


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflow_can_only_read(name: str) -> None:
    assert workflow(name)["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in workflow(name)["jobs"].values())


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflow_is_bounded_and_pinned(name: str) -> None:
    jobs = workflow(name)["jobs"].values()
    assert all(job["timeout-minutes"] <= 120 for job in jobs)
    assert "concurrency" in workflow(name)
    used = [step["uses"] for step in steps(name) if "uses" in step]
    assert used
    assert [each for each in used if not re.fullmatch(r"actions/[a-z-]+@v\d+", each)] == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflow_puts_no_event_text_into_scripts(name: str) -> None:
    # a branch name or a title in ${{ }} inside `run` is executed by the shell
    assert [step["run"] for step in steps(name) if "${{" in step.get("run", "")] == []


def test_workflows_start_where_they_should() -> None:
    assert triggers("tests") == {"push", "pull_request"}
    assert triggers("gate") == {"pull_request"}
    assert triggers("selftest") == {"pull_request", "schedule"}
    assert "vlmgate/**" in workflow("selftest")[True]["pull_request"]["paths"]
    assert triggers("gpu") == {"workflow_dispatch", "schedule"}  # never a stranger's code on a machine that is kept


def test_gate_shows_and_keeps_its_results_even_when_it_fails() -> None:
    runs = [step.get("run", "") for step in steps("gate")]
    (measuring,) = [run for run in runs if run.startswith("pytest benchmarks/ --tier default --benchmark-autosave")]
    assert measuring.split()[-1] == "$AGAINST"
    always = [step for step in steps("gate") if step.get("if") == "always()"]
    assert any("comparison.md" in step.get("run", "") and "GITHUB_STEP_SUMMARY" in step["run"] for step in always)
    uploads = [step["with"] for step in always if step.get("uses", "").startswith("actions/upload-artifact@")]
    assert len(uploads) == 1
    assert uploads[0]["path"].split() == ["results/", ".benchmarks/"]
    assert uploads[0]["include-hidden-files"] is True  # else .benchmarks stays behind


def test_gate_measures_the_base_commit_with_the_libraries_of_the_base() -> None:
    """So that a pull request which upgrades a library is held against what it upgrades from."""
    (checkout,) = [step["with"] for step in steps("gate") if step.get("uses", "").startswith("actions/checkout@")]
    assert checkout["fetch-depth"] == 0, "a shallow clone has no base commit"
    (step,) = [step for step in steps("gate") if "AGAINST=" in step.get("run", "")]
    assert step["env"] == {"BASE": "${{ github.event.pull_request.base.sha }}"}
    lines = [line.strip() for line in step["run"].splitlines()]
    assert 'git archive "$BASE" | tar -x -C ../base' in lines and "python -m venv ../base-env" in lines
    (install,) = [line for line in lines if line.startswith("../base-env/bin/python -m pip install")]
    assert install.endswith("-c ../base/constraints.txt ../base")
    assert 'echo "AGAINST=--against $BASE --against-python ../base-env" >> "$GITHUB_ENV"' in lines


def test_selftest_workflow_runs_the_short_proof_with_a_timeout() -> None:
    limits = {step["run"]: step["timeout-minutes"] for step in steps("selftest") if step.get("run", "").startswith("vlmgate")}
    assert limits == {"vlmgate selftest --quick": 10, "vlmgate simulate --speed": 2}


def test_every_workflow_is_checked() -> None:
    assert sorted(WORKFLOWS) == sorted(path.stem for path in (ROOT / ".github" / "workflows").glob("*.yml"))


def test_gpu_workflow_calls_tox_on_its_own_runner() -> None:
    assert any("tox -e gpu" in step.get("run", "") for step in steps("gpu"))
    assert [job["runs-on"] for job in workflow("gpu")["jobs"].values()] == [["self-hosted", "gpu"]]
