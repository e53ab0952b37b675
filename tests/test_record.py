"""The package as others use it: from a run in memory to a stored one, a baseline and back, without torch."""

import subprocess
import sys
from pathlib import Path

import pytest
from record_samples import make_run

from vlmgate import record
from vlmgate.spec import VlmgateError


def test_from_run_to_file_to_baseline_and_back(tmp_path: Path) -> None:
    run = make_run()
    folder = record.new_run_folder(tmp_path / "results", run.tier)
    record.write_run(run, folder)
    again = record.read_run(record.find_run(tmp_path / "results", "latest"))
    assert again == run
    timed = {case.id: {"time_per_caption": (0.1, 0.2) * 12} for case in run.cases}
    record.promote(again, tmp_path / "baselines", cases=None, reason="first", force=False, block_values=timed)
    assert list(record.load_baselines(tmp_path / "baselines", run.environment)) == ["blip/fp32/scenes", "blip/int8/scenes"]


def test_everything_offered_is_there_and_needs_no_torch() -> None:
    program = (
        "import sys, vlmgate.record as record\n"
        "assert all(hasattr(record, name) for name in record.__all__)\n"
        "record.fingerprint(1)\n"
        "sys.exit(' '.join({'torch', 'transformers', 'PIL'} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert done.returncode == 0, done.stderr


def test_runs_are_not_read_as_baselines(tmp_path: Path) -> None:
    run = make_run()
    path = record.baseline_path(tmp_path, run.environment.name, "blip/fp32/scenes")
    path.parent.mkdir(parents=True)
    record.write_run(run, tmp_path).rename(path)
    with pytest.raises(VlmgateError, match=r"scenes\.json: at \$\.environment expected type .*baseline\.schema\.json"):
        record.load_baselines(tmp_path, run.environment)
