"""Sequential timing of a tiny model, live: each process times one arm alone."""

from pathlib import Path

import pytest
from project import Project

from vlmgate.selftest import naive, recording
from vlmgate.selftest.arms import INT8, REFERENCE
from vlmgate.selftest.recording import Subject
from vlmgate.spec import Model, Settings

SETTINGS = Settings(threads=1, images=4, timed_images=2, rounds=2, new_tokens=4, max_tokens=8)


@pytest.mark.slow
def test_each_arm_has_processes_of_its_own(
    project: Project, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, real = [], recording.run_job

    def spy(do: str, job: dict[str, object], **more: object) -> object:
        jobs.append((do, job["arms"]))
        return real(do, job, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(recording, "run_job", spy)
    subject = Subject(tiny_model, "scenes", SETTINGS, project.root, project.root / "cache")
    medians = naive.time_sequentially(subject, 1)
    assert medians.keys() == {REFERENCE, INT8} and all(len(values) == 1 and values[0] > 0 for values in medians.values())
    assert [[arm["name"] for arm in arms] for do, arms in jobs if do == "block"] == [[REFERENCE], [INT8]]  # type: ignore[union-attr,index]
