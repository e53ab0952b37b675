"""The worker as a program: it starts light, and each job has its module."""

import subprocess
import sys

from jobs import ROOT


def test_starting_imports_no_torch_so_that_a_job_is_read_at_once() -> None:
    code = "import sys, vlmgate.worker.__main__ as w; print(sorted(w.JOBS), {'torch', 'numpy', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=120)
    jobs = ["block", "caption", "ceilings", "declare", "memory", "prepare", "probe", "size", "work"]
    assert done.stdout.strip() == f"{jobs} set()"
