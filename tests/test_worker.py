"""The worker as a program: it starts light, and each job has its module."""

import subprocess
import sys

import pytest
from jobs import ROOT

from vlmgate.worker.__main__ import said


def test_starting_imports_no_torch_so_that_a_job_is_read_at_once() -> None:
    code = "import sys, vlmgate.worker.__main__ as w; print(sorted(w.JOBS), {'torch', 'numpy', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=120)
    jobs = ["block", "caption", "ceilings", "declare", "memory", "prepare", "probe", "size", "work"]
    assert done.stdout.strip() == f"{jobs} set()"


def test_where_memory_ran_out_under_a_limit_it_says_what_to_do() -> None:
    import torch

    with pytest.raises(RuntimeError) as torchs:  # its allocator has no exception of its own
        torch.empty(1 << 60, dtype=torch.uint8)
    limit, advice = (
        {"memory_limit": 2 * 10**9},
        "; the worker may use 2000 MB (--memory-limit): allow more, or use a smaller batch",
    )
    assert said(torchs.value, limit).startswith(f"{torchs.value}{advice}")
    assert said(MemoryError(), limit).startswith(f"out of memory{advice}")
    for error in (torchs.value, ValueError("a mistake")):
        assert said(error, {}) == str(error), "where nothing is limited, the limit is not to blame"
    assert said(ValueError("a mistake"), limit) == "a mistake"


def test_where_a_gpu_is_full_the_limit_on_this_process_is_not_to_blame() -> None:
    import torch

    words = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which 8.12 GiB is free."
    full = [torch.OutOfMemoryError(words), RuntimeError("CUDA error: out of memory")]
    if torch.cuda.is_available():
        with pytest.raises(RuntimeError) as real:
            torch.empty(1 << 50, dtype=torch.uint8, device="cuda")
        full.append(real.value)
    for error in full:
        for job in ({}, {"memory_limit": 2 * 10**9}):
            assert said(error, job).startswith(f"{error}; the GPU's own memory is full: use a smaller batch or variant")
            assert "--memory-limit" not in said(error, job)
