"""What the jobs of a worker share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from jobs import IMAGES, ROOT, job

from vlmgate.worker.common import batches


@pytest.mark.parametrize(("size", "groups"), [(1, [1, 1, 1]), (2, [2]), (3, [3]), (8, [3])])
def test_images_go_in_groups_of_one_size(size: int, groups: list[int]) -> None:
    given = job(Path("none.py"), batch=size)
    assert [len(group) for group in batches(given)] == groups  # what is left over would time unlike the others


def test_a_size_can_be_given() -> None:
    assert [len(group) for group in batches(job(Path("none.py"), images=IMAGES[:2], batch=1), 2)] == [2]


def said_by(code: str) -> str:
    """What a fresh process prints that keeps to a job's cores and memory."""
    head = "import os\nfrom vlmgate.worker.common import cores, keep_to_cores, limit_memory\n"
    command = [sys.executable, "-c", head + code]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=120).stdout.strip()


def test_a_pinned_worker_keeps_to_as_many_cores_as_threads() -> None:
    pinned = said_by("keep_to_cores({'threads': 1, 'affinity': 'pin'}); print(cores())")
    assert pinned == str(sorted(os.sched_getaffinity(0))[:1])
    assert said_by("keep_to_cores({'threads': 1, 'affinity': 'inherit'}); print(cores())") == str(sorted(os.sched_getaffinity(0)))


def test_memory_can_be_limited() -> None:
    code = """
limit_memory({"memory_limit": LIMIT})
try:
    print(len(bytearray(400_000_000)))
except MemoryError:
    print("refused")
"""
    assert said_by(code.replace("LIMIT", "200_000_000")) == "refused"
    assert said_by(code.replace("LIMIT", "None")) == "400000000"
