"""`vlmgate env` on a real machine and real baselines: the name, what applies, and how a stored environment differs."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from project import ROOT, Done

Run = Callable[..., tuple[int, str, str]]


def without_baselines(out: str) -> bool:
    """Whether the workflow of pull requests reads the output of `vlmgate env` as: no baseline matches."""
    workflow = (ROOT / ".github" / "workflows" / "gate.yml").read_text(encoding="utf-8")
    (pattern,) = re.findall(r"if grep -q '([^']+)' environment\.txt; then\n[^}]*echo \"AGAINST=--against \$BASE ", workflow)
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


def test_diff_says_what_must_match_and_what_may_have_changed(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    vlmgate("promote", "latest", "--baselines", tmp_path, "--cases", "tiny/slow/*", "--force")
    name = first.run.environment.name
    case = tmp_path / name / "tiny" / "slow" / "scenes.json"
    for which in (name, tmp_path / name, case):
        status, out, _ = vlmgate("env", "--threads", "1", "--baselines", tmp_path, "--diff", which)
        assert status == 0 and out.startswith(name) and "differs" not in out and out.endswith("\nApplies here.\n"), which
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


def test_diff_with_what_is_not_there(vlmgate: Run, tmp_path: Path) -> None:
    status, out, err = vlmgate("env", "--baselines", tmp_path, "--diff", "nowhere")
    assert (status, out) == (4, "")
    assert err == f"vlmgate: no stored environment 'nowhere' in {tmp_path}; known: none\n"
