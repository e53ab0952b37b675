"""How busy the machine is now, so that a bound in seconds means the same on a shared one; and programs that make it busy."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

SPIN = "import os, signal, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nos.kill(os.getpid(), signal.SIGSTOP)\nwhile 1: pass"


def busy() -> float:
    """How many times as long as on a free machine a process takes: wall ÷ CPU time of one that only computes, at least 1."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "-c", "sum(range(5_000_000))"], check=True)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return max(1.0, wall / (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))


@contextmanager
def neighbours(cores: Iterable[int], each: int) -> Iterator[Callable[[], None]]:
    """``each`` programs on each of the cores (Linux), at rest until the function that this yields lets them spin."""
    command = [sys.executable, "-S", "-c", SPIN]  # in sessions of their own, as a neighbour's: the scheduler may group by session
    them = [subprocess.Popen([*command, str(core)], start_new_session=True) for core in cores for _ in range(each)]

    def spin() -> None:
        for one in them:
            one.send_signal(signal.SIGCONT)

    try:
        for one in them:
            os.waitpid(one.pid, os.WUNTRACED)  # until it rests
        yield spin
    finally:
        for one in them:
            one.kill()
        for one in them:
            one.wait()
