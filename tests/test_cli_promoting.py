"""`vlmgate promote` on the record of a real run of a tiny model, stretched to the blocks that a baseline needs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from project import Done

from vlmgate.record import LEAST_BLOCKS, load_baselines
from vlmgate.spec import Outcome

Run = Callable[..., tuple[int, str, str]]
SLOW = "tiny/slow/scenes"


def stretched(first: Done, folder: Path, share: float = 1.0, name: str = "long", blocks: int = LEAST_BLOCKS) -> Path:
    """The run with its two blocks in turn, up to enough; the variant ``slow`` takes ``share`` of its time, wobbling by block."""
    data = json.loads((first.folder / "run.json").read_text(encoding="utf-8"))
    own = data["blocks"]
    data["name"] = name
    data["blocks"] = [dict(own[i % len(own)], index=i) for i in range(blocks)]
    for number, block in enumerate(data["blocks"]):
        base = block["times"]["fp32"]
        wobble = share * (1 + 0.01 * (-1) ** (number // 2))
        calm = 1 + 0.001 * (-1) ** (number // 3)
        block["times"] = {
            **block["times"],
            "slow": [[t * wobble for t in image] for image in base],
            "placebo": [[t * calm for t in image] for image in base],
        }
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text(json.dumps(data), encoding="utf-8")
    return folder


def test_promoted_values_are_judged_against(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    assert "no baseline yet" in vlmgate("judge", "--baselines", tmp_path)[1]
    long = stretched(first, tmp_path / "run")
    status, out, _ = vlmgate("promote", long, "--baselines", tmp_path, "--cases", "tiny/slow/*", "--reason", "the first")
    assert status == 0
    environment = first.run.environment
    assert out.split() == [str(tmp_path / environment.name / name) for name in ("environment.json", "tiny/slow/scenes.json")]
    baseline = load_baselines(tmp_path, environment)[SLOW]
    assert (baseline.run, baseline.reason, baseline.forced, baseline.tier) == ("long", "the first", False, "default")
    assert len(baseline.blocks["time_per_caption"]) == LEAST_BLOCKS and baseline.exact["parameters"] > 1000
    again = vlmgate("judge", long, "--baselines", tmp_path)[1]
    assert "no baseline yet" not in again


def test_the_placebo_of_a_reference_is_kept(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    long = stretched(first, tmp_path / "run")
    assert vlmgate("promote", long, "--baselines", tmp_path, "--cases", "tiny/fp32/*")[0] == 0
    kept = load_baselines(tmp_path, first.run.environment)["tiny/fp32/scenes"].blocks
    assert {metric: len(values) for metric, values in kept.items()} == {"time_per_caption": 24, "placebo": 24}


def test_too_few_blocks_are_refused(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    status, _, err = vlmgate("promote", "latest", "--baselines", tmp_path, "--cases", "tiny/slow/*")
    assert status == 4 and "2 blocks of time_per_caption where 24 are needed, which --top-up measures" in err


def test_a_contaminated_case_is_refused(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    long = stretched(first, tmp_path / "run")
    data: dict[str, Any] = json.loads((long / "run.json").read_text())
    for block in data["blocks"]:
        block["times"]["placebo"] = [[1.2 * t for t in image] for image in block["times"]["placebo"]]
    (long / "run.json").write_text(json.dumps(data))
    status, _, err = vlmgate("promote", long, "--baselines", tmp_path, "--cases", "tiny/fp32/*")
    assert status == 4 and "tiny/fp32/scenes (contaminated: the placebo is 0.83" in err


def test_promoting_a_failed_run_is_refused(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    failed = {verdict.case for verdict in first.run.verdicts if verdict.outcome is Outcome.FAIL}
    status, out, err = vlmgate("promote", "--baselines", tmp_path)
    assert (status, out) == (4, "") and err.startswith(f"vlmgate: run {first.folder.name} is not promoted: ")
    assert failed and all(f"{case} (" in err for case in failed) and "fail agreement against limit" in err
    assert not list(tmp_path.rglob("*.json"))


def test_force_takes_a_failed_run_and_marks_it(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    assert vlmgate("promote", "--baselines", tmp_path, "--force")[0] == 0
    found = load_baselines(tmp_path, first.run.environment)
    assert found.keys() == {record.id for record in first.run.cases if not record.skip}
    idle = found["tiny/idle/scenes"]
    assert idle.forced and "fail low_precision_share against limit" in idle.history[-1]["unfit"]


def test_a_pattern_that_matches_nothing(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    status, _, err = vlmgate("promote", "--baselines", tmp_path, "--cases", "tiny/slwo/*")
    assert status == 4 and "no measured case of run" in err and "tiny/slow/scenes" in err
    assert first.run.name and not list(tmp_path.iterdir())


def test_occasions_measure_the_spread_between_runs(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    root, chosen = tmp_path / "baselines", ("--baselines", tmp_path / "baselines", "--cases", "tiny/slow/*")
    early = vlmgate("promote", stretched(first, tmp_path / "run"), *chosen, "--occasion")
    assert early[0] == 4 and "it has no baseline yet" in early[2]
    vlmgate("promote", stretched(first, tmp_path / "run"), *chosen)
    for number, share in enumerate((1.02, 0.98, 1.03, 0.97)):
        again = stretched(first, tmp_path / "again", share, f"again{number}", blocks=6)
        status, out, err = vlmgate("promote", again, *chosen, "--occasion")
        assert (status, out.split()) == (0, [str(root / first.run.environment.name / "tiny/slow/scenes.json")]), err
    found = load_baselines(root, first.run.environment)[SLOW]
    assert found.run == "long" and found.between_runs == 5 and found.between_sd == pytest.approx(0.025, rel=0.1)
    assert vlmgate("promote", again, *chosen, "--occasion")[2].count("this run counts already") == 1


def test_an_occasion_with_another_library_is_none(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    chosen = ("--baselines", tmp_path / "baselines", "--cases", "tiny/slow/*")
    vlmgate("promote", stretched(first, tmp_path / "run"), *chosen)
    again = stretched(first, tmp_path / "again", name="again")
    data = json.loads((again / "run.json").read_text())
    torch, data["environment"]["info"]["versions"]["torch"] = data["environment"]["info"]["versions"]["torch"], "9.9"
    data["environment"]["info"]["commit"] = "d" * 40  # alone no reason
    (again / "run.json").write_text(json.dumps(data))
    status, _, err = vlmgate("promote", again, *chosen, "--occasion")
    assert status == 4 and err.count(f"{SLOW} (torch {torch} → 9.9)") == 1
