"""`vlmgate env` on a real machine and real baselines: the name, what applies, and how a stored environment differs."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from project import ROOT, Done, Project, suite_text

Run = Callable[..., tuple[int, str, str]]


def without_baselines(out: str) -> bool:
    """Whether the workflow of pull requests reads the output of `vlmgate env` as: no baseline matches, or one does not apply."""
    workflow = (ROOT / ".github" / "workflows" / "gate.yml").read_text(encoding="utf-8")
    (pattern,) = re.findall(r"if grep -qE '([^']+)' environment\.txt; then\n[^}]*echo \"AGAINST=--against \$BASE ", workflow)
    return re.search(pattern, out, re.MULTILINE) is not None


def test_env_prints_the_name_and_the_baselines(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    environment = first.run.environment
    status, out, _ = vlmgate("env", "--threads", "1", "--baselines", tmp_path)
    assert status == 0 and environment.name in out.splitlines()[0]
    assert f"0 baselines for this environment in {tmp_path}" in out
    assert without_baselines(out), "the workflow of pull requests then measures the base commit too"
    vlmgate("promote", "latest", "--baselines", tmp_path, "--cases", "tiny/slow/*", "--force")
    out = vlmgate("env", "--threads", "1", "--baselines", tmp_path)[1]
    assert "1 baselines for this environment" in out and not without_baselines(out)
    other = vlmgate("env", "--threads", "2", "--baselines", tmp_path)[1]
    assert "0 baselines" in other and f"{environment.name} differs: " in other and "threads: 1 against 2" in other


def test_env_says_which_baselines_do_not_apply_to_a_tier(vlmgate: Run, project: Project, first: Done, tmp_path: Path) -> None:
    """So that a pull request which changes settings, after which all these lines are skipped, has its base measured."""
    vlmgate("promote", "latest", "--baselines", tmp_path, "--cases", "tiny/slow/*", "--force")
    env = ("env", "--threads", "1", "--baselines", tmp_path, "--tier", "default", "--suite")
    status, out, _ = vlmgate(*env, project.root / "benchmarks" / "suite.yaml")
    assert status == 0 and first.run.tier == "default"
    assert "\n1 baselines for" in out and "\n0 of them do not apply to tier default as it is declared now\n" in out
    assert not without_baselines(out)
    changed = (
        suite_text().replace("new_tokens: 4", "new_tokens: 3").replace("[fp32, int8-dynamic", "[fp32-cuda, fp32, int8-dynamic")
    )
    out = vlmgate(*env, project.suite("changed.yaml", changed))[1]
    assert "\n1 of them do not apply to tier default as it is declared now\n" in out and without_baselines(out)
    assert (
        "tiny/slow/scenes: other new_tokens (4 then, 3 now), reference (tiny/fp32/scenes then, tiny/fp32-cuda/scenes now)" in out
    )


def test_diff_says_what_must_match_and_what_may_have_changed(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    vlmgate("promote", "latest", "--baselines", tmp_path, "--cases", "tiny/slow/*", "--force")
    name = first.run.environment.name
    case = tmp_path / name / "tiny" / "slow" / "scenes.json"
    for which in (name, tmp_path / name, case):
        status, out, _ = vlmgate("env", "--threads", "1", "--baselines", tmp_path, "--diff", which)
        assert status == 0 and out.startswith(name) and "differs" not in out and "\nApplies here.\n" in out, which
        assert out.endswith("\nApplies to this case.\n") is (which == case)
    stored = json.loads((tmp_path / name / "environment.json").read_text())
    stored["info"]["versions"]["torch"] = "1.0"
    stored["key"]["isa"] = "mmx"
    (tmp_path / name / "environment.json").write_text(json.dumps(stored))
    status, out, _ = vlmgate("env", "--threads", "1", "--baselines", tmp_path, "--diff", case)
    (isa,) = (line.split() for line in out.splitlines() if line.startswith("isa "))
    assert status == 1 and isa[1] == "mmx" and isa[-1] == "differs"
    (torch,) = (line.split() for line in out.splitlines() if line.startswith("torch "))
    assert torch[1:] == ["1.0", first.run.environment.info["versions"]["torch"]]
    assert "Does not apply here: 1 of 8 differ" in out


def test_diff_of_a_case_says_which_settings_and_images_suite_yaml_has_changed(
    vlmgate: Run, project: Project, first: Done, tmp_path: Path
) -> None:
    vlmgate("promote", "latest", "--baselines", tmp_path, "--cases", "tiny/slow/*", "--force")
    case = tmp_path / first.run.environment.name / "tiny" / "slow" / "scenes.json"
    diff = ("env", "--threads", "1", "--baselines", tmp_path, "--diff", case)
    batched = suite_text().replace("new_tokens: 4", "new_tokens: 3, affinity: pin")
    status, out, _ = vlmgate(*diff, "--suite", project.suite("batched.yaml", batched))
    said = "new_tokens (4 then, 3 now), affinity (inherit then, pin now)"
    assert status == 1 and "\nApplies here.\n" in out and f"\nDoes not apply to this case now: {said}; " in out
    (row,) = (line.split() for line in out.splitlines() if line.startswith("new_tokens "))
    assert row[1:] == ["4", "3", "differs"]
    stored = json.loads(case.read_text())
    case.write_text(json.dumps({**stored, "dataset": "e" * 64, "tier": ""}))  # a file from before the tier was kept
    status, out, _ = vlmgate(*diff)
    assert status == 1 and "\nDoes not apply to this case now: image files (sha256); promote" in out
    gone = suite_text().replace("variants: [slow, idle,", "variants: [idle,").replace('"tiny/slow/*"', '"tiny/*"')
    status, out, _ = vlmgate(*diff, "--suite", project.suite("gone.yaml", gone))
    assert status == 1 and "tiny/slow/scenes: no tier of " in out


def test_diff_with_what_is_not_there(vlmgate: Run, tmp_path: Path) -> None:
    status, out, err = vlmgate("env", "--baselines", tmp_path, "--diff", "nowhere")
    assert (status, out) == (4, "")
    assert err == f"vlmgate: no stored environment 'nowhere' in {tmp_path}; known: none\n"
