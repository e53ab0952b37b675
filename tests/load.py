"""How busy the machine is now, so that a bound in seconds means the same on a shared one."""

import resource
import subprocess
import sys
import time


def busy() -> float:
    """How many times as long as on a free machine a process takes: wall ÷ CPU time of one that only computes, at least 1."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "-c", "sum(range(5_000_000))"], check=True)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return max(1.0, wall / (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
