"""How a worker can end, each way for real: what is said of it, and that nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest
from jobs import ROOT, job, trick, write_tricks
from load import busy

from vlmgate import measure
from vlmgate.measure import LOG_LINES, Answer, BudgetSpent, run_job, worker_environment
from vlmgate.protocol import Message
from vlmgate.record.environment import WAITING
from vlmgate.running.clock import Clock
from vlmgate.spec import Failure, Model
from vlmgate.variants import VARIANTS

PATIENCE = 3.0  # seconds; more than a worker needs to import a plugin
# A worker with a child and a temporary file, which tells where they are, and then does its worst.
PLUGIN = """
import json, os, signal, subprocess, sys, tempfile, time

child = subprocess.Popen(["sleep", "600"])
handle, name = tempfile.mkstemp()
with open({notes!r}, "w") as file:
    json.dump({{"worker": os.getpid(), "child": child.pid, "file": name}}, file)
print("last words", flush=True)
pipe = int(sys.argv[2])
{worst}
"""


class Worker:
    """A worker whose plugin runs the given lines while it is imported."""

    def __init__(self, folder: Path, worst: str) -> None:
        self.notes, self.plugin = folder / "notes.json", folder / "worst.py"
        self.plugin.write_text(PLUGIN.format(notes=str(self.notes), worst=worst), encoding="utf-8")

    def run(self, patience: float = 60) -> Answer:
        return run_job("caption", job(self.plugin), patience=patience)  # which imports no torch before the plugin

    def assert_gone(self) -> None:
        said = json.loads(self.notes.read_text(encoding="utf-8"))
        assert not [process for process in map(alive, (said["worker"], said["child"])) if process]
        assert not Path(said["file"]).exists()


def alive(pid: int) -> psutil.Process | None:
    """The process, unless it has ended; it may take a moment to die after it was killed."""
    try:
        process = psutil.Process(pid)
        for _ in range(50):
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return None
            time.sleep(0.02)
        return process
    except psutil.NoSuchProcess:
        return None


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of this process, empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize(
    ("worst", "kind", "message"),
    [
        ("raise OverflowError('too much')", "OverflowError", "too much"),
        ("os._exit(3)", "exit 3", "ended with status 3 before it was done"),
        ("os._exit(0)", "exit 0", "ended with status 0 before it was done"),
        ("sys.exit(4)", "exit 4", "ended with status 4 before it was done"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL", "killed by SIGKILL; often the kernel's out-of-memory killer"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV", "killed by SIGSEGV"),
        ("os.write(pipe, b'Loading weights: 100%\\n'); time.sleep(600)", "garbage", "not a message (not JSON: b'Loading weights"),
        ('os.write(pipe, b\'{"event": "stage"}\\n\'); time.sleep(600)', "garbage", "no event with all its fields"),
    ],
)
def test_each_bad_end_has_its_name_and_leaves_nothing(
    tmp_path: Path, temporary: Path, worst: str, kind: str, message: str
) -> None:
    worker = Worker(tmp_path, worst)
    answer = worker.run()
    assert answer.failure is not None
    assert (answer.failure.arm, answer.failure.stage, answer.failure.kind) == ("", "starting", kind)
    assert message in answer.failure.message
    assert "last words" in answer.failure.log or answer.failure.log.endswith("OverflowError: too much")
    worker.assert_gone()
    assert not list(temporary.iterdir())


def test_a_worker_that_hangs_costs_patience_but_no_cpu(tmp_path: Path, temporary: Path) -> None:
    worker = Worker(tmp_path, "time.sleep(600)")
    began = time.process_time()
    answer = worker.run(PATIENCE)
    assert time.process_time() - began < 0.2
    assert PATIENCE <= answer.seconds < 100
    assert answer.failure == Failure("", "starting", "hang", "no sign of life for 3 s", "last words")
    worker.assert_gone()
    assert not list(temporary.iterdir())


def test_a_worker_that_is_killed_leaves_no_shared_memory(tmp_path: Path, temporary: Path) -> None:
    name = tmp_path / "name"
    worst = f"""
from multiprocessing.shared_memory import SharedMemory
segment = SharedMemory(create=True, size=4096)
with open({str(name)!r}, "w") as file:
    file.write(segment.name)
os.kill(os.getpid(), signal.SIGKILL)
"""
    worker = Worker(tmp_path, worst)
    answer = worker.run()
    assert answer.failure is not None and answer.failure.kind == "SIGKILL"
    assert name.read_text() and not (Path("/dev/shm") / name.read_text()).exists()
    worker.assert_gone()
    assert not list(temporary.iterdir())


def test_a_worker_that_forks_leaves_no_child(tmp_path: Path) -> None:
    pid = tmp_path / "forked"
    worst = f"""
if not (forked := os.fork()):
    time.sleep(600)
with open({str(pid)!r}, "w") as file:
    file.write(str(forked))
os.kill(os.getpid(), signal.SIGSEGV)
"""
    worker = Worker(tmp_path, worst)
    answer = worker.run(PATIENCE)  # the fork holds the pipe open, so that only the silence is heard
    assert answer.failure is not None and answer.failure.kind in ("hang", "SIGSEGV")
    assert alive(int(pid.read_text())) is None
    worker.assert_gone()


def test_what_a_worker_started_in_sessions_of_their_own_ends_with_it(tmp_path: Path, temporary: Path) -> None:
    notes = tmp_path / "strays"
    worst = f"""
sleeper = subprocess.Popen(["sleep", "600"], start_new_session=True)
shell = "setsid sh -c 'sleep 600 & echo $!; echo $$' > {notes}"  # whose parents end: it belongs to nobody then
subprocess.run(["sh", "-c", shell], check=True)
with open({str(notes)!r}, "a") as file:
    print(sleeper.pid, file=file)
raise RuntimeError("left them alone")
"""
    other = subprocess.Popen(["sleep", "600"], start_new_session=True)  # not a worker's
    try:
        worker = Worker(tmp_path, worst)
        answer = worker.run()
        assert answer.failure is not None and answer.failure.message == "left them alone"
        strays = [int(pid) for pid in notes.read_text().split()]
        assert len(strays) == 3 and not [process for process in map(alive, strays) if process]
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
    worker.assert_gone()
    assert not list(temporary.iterdir())


def test_an_arm_that_runs_out_of_memory_under_a_limit_is_named_with_what_to_do(tmp_path: Path, tiny_model: Model) -> None:
    plugin = write_tricks(tmp_path / "tricks.py", Path(tiny_model.location))
    variants = [asdict(VARIANTS["fp32"]), asdict(trick("hog", do="spike", bytes=200 * 10**9))]
    extra = {"model": asdict(tiny_model), "variants": variants, "root": str(ROOT), "cache": str(tmp_path / "cache")}
    answer = run_job("prepare", job(plugin, **extra), memory_limit=8 * 10**9)
    assert answer.failure is not None
    assert (answer.failure.arm, answer.failure.stage, answer.failure.kind) == ("hog", "preparing", "MemoryError")
    assert answer.failure.message.startswith("out of memory; the worker may use 8000 MB (--memory-limit): allow more")
    assert "fp32" in answer.arms  # what was made before stays


def test_the_parent_uses_a_fiftieth_of_a_core_at_most_while_a_worker_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CPU time, which other programs do not lengthen; a parent that polls would use up to a whole core."""

    def share(calls: int) -> float:
        timing = 'b\'{"event": "stage", "arm": "x", "stage": "timing"}\\n{"event": "tick", "done": 1, "of": 2}\\n\''
        warming = 'b\'{"event": "stage", "arm": "x", "stage": "warming"}\\n\''
        lines = (
            f"os.write(pipe, {warming})\nfor _ in range({calls}):\n    os.write(pipe, {timing})\n    time.sleep(0.1)\nos._exit(5)"
        )
        clock = Clock()
        with clock.job("block") as hear:
            answer = run_job("caption", job(Worker(tmp_path, lines).plugin), listener=hear)
        assert answer.failure is not None and answer.failure.kind == "exit 5" and clock.watched > 0.1 * calls
        return clock.parent_cpu

    assert share(25) <= 0.02
    waiting = measure.select.select

    def poll(*given: Any) -> Any:
        while not (ready := waiting(*given[:3], 0))[0]:
            pass
        return ready

    monkeypatch.setattr(measure.select, "select", poll)
    assert share(5) > 0.1


def test_signs_of_life_are_waited_for(tmp_path: Path) -> None:
    tick = 'os.write(pipe, b\'{"event": "tick", "done": 1, "of": 2}\\n\')'
    worker = Worker(tmp_path, f"for _ in range(8):\n    {tick}\n    time.sleep({PATIENCE / 6})\nos._exit(5)")
    answer = worker.run(PATIENCE)
    assert answer.failure is not None and answer.failure.kind == "exit 5"  # although it lived longer than the patience
    assert answer.seconds > PATIENCE


def test_a_worker_that_closes_its_pipe_and_goes_on_is_ended(tmp_path: Path, temporary: Path) -> None:
    worker = Worker(tmp_path, "os.close(pipe)\ntime.sleep(600)")
    answer = worker.run(PATIENCE)
    assert answer.failure == Failure("", "starting", "hang", "the worker closed its pipe and did not end", "last words")
    worker.assert_gone()
    assert not list(temporary.iterdir())


def test_messages_cut_anywhere_are_put_together(tmp_path: Path) -> None:
    pieces = """
for piece in (b'{"event": "arm", "arm": "x", ', b'"data": {"n": 1}}\\n{"event": "stage", "arm": "y", "st', b'age": "timing"}\\n'):
    os.write(pipe, piece)
    time.sleep(0.1)
os._exit(6)
"""
    answer = Worker(tmp_path, pieces).run()
    assert answer.arms == {"x": {"n": 1}}  # what was told before the end is kept
    assert answer.failure is not None
    assert (answer.failure.arm, answer.failure.stage, answer.failure.kind) == ("y", "timing", "exit 6")


def test_only_the_last_lines_of_the_log_are_kept(tmp_path: Path) -> None:
    answer = Worker(tmp_path, "print(*range(5000), sep='\\n', flush=True); os._exit(7)").run()
    assert answer.failure is not None
    assert answer.failure.log.splitlines() == [str(n) for n in range(5000 - LOG_LINES, 5000)]


def test_an_unknown_job_fails_in_the_worker(tmp_path: Path) -> None:
    answer = run_job("dance", {"threads": 1})
    assert answer.failure is not None
    assert (answer.failure.kind, answer.failure.message) == ("KeyError", "'dance'")
    assert "Traceback" in answer.failure.log and answer.failure.log.endswith("KeyError: 'dance'")


def test_a_worker_of_another_version_refuses() -> None:
    answer = run_job("probe", {"threads": 1, "version": 99})
    assert answer.failure is not None and "protocol version 99, this worker speaks" in answer.failure.message


def test_an_interpreter_that_never_reads_its_job_is_a_failure() -> None:
    answer = run_job("probe", {"threads": 1, "much": "x" * 1_000_000}, python="/bin/false")  # more than a pipe holds
    assert answer.failure is not None and answer.failure.kind == "exit 1"


def test_an_arm_without_its_artefact_is_named(tmp_path: Path, tiny_checkpoint: Path) -> None:
    plugin = write_tricks(tmp_path / "tricks.py", tiny_checkpoint)
    answer = run_job("caption", job(plugin, arms=[{"name": "int8", "folder": str(tmp_path / "gone")}]))
    assert answer.failure is not None
    assert (answer.failure.arm, answer.failure.stage, answer.failure.kind) == ("int8", "loading", "VlmgateError")
    assert "gone is not an artefact" in answer.failure.message


def test_the_arm_that_was_announced_is_blamed_and_its_half_made_artefact_swept(tmp_path: Path, tiny_model: Model) -> None:
    plugin, cache = write_tricks(tmp_path / "tricks.py", Path(tiny_model.location)), tmp_path / "cache"
    variants = [asdict(VARIANTS["fp32"]), asdict(trick("dies", do="die at once"))]
    heard: list[Message] = []
    extra = {"model": asdict(tiny_model), "variants": variants, "root": str(ROOT), "cache": str(cache)}
    answer = run_job("prepare", job(plugin, **extra), listener=heard.append)
    assert answer.failure is not None
    assert (answer.failure.arm, answer.failure.stage, answer.failure.kind) == ("dies", "preparing", "SIGKILL")
    assert heard[-1] == {"event": "stage", "arm": "dies", "stage": "preparing"}
    (folder,) = (cache / "artefacts" / "tiny").iterdir()  # that of fp32, and nothing partial
    assert answer.arms["fp32"]["folder"] == str(folder)


SHELL = (  # what steers a worker and must not come from the shell
    *("OMP_WAIT_POLICY", "OMP_PROC_BIND", "KMP_BLOCKTIME", "GOMP_CPU_AFFINITY", "MKL_DYNAMIC", "LD_PRELOAD", "GLIBC_TUNABLES"),
    *("MALLOC_ARENA_MAX", "MALLOC_CONF", "TCMALLOC_SAMPLE_PARAMETER", "PYTHONMALLOC", "THP_MEM_ALLOC_ENABLE", "OV_CPU_MAX_ISA"),
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "TORCH_COMPILE_DISABLE", "TORCHINDUCTOR_FREEZING"),
    *("PYTORCH_ALLOC_CONF", "ORT_DISABLE_FLASH_ATTENTION", "NVIDIA_TF32_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG"),
)
NEEDED = (  # to run at all, or to say where files are
    *("LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "HF_HOME", "TORCHINDUCTOR_CACHE_DIR", "TORCH_HOME"),
    *("VLMGATE_CACHE", "ORT_DISABLE_TELEMETRY"),
)


def test_threads_and_waiting_are_set_before_torch_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in (*SHELL, *NEEDED):
        monkeypatch.setenv(name, "1")
    tell = """
early, environment = "torch" in sys.modules, dict(os.environ)
import torch
raise RuntimeError(json.dumps({"early": early, "threads": torch.get_num_threads(), "environment": environment}))
"""
    worker = Worker(tmp_path, tell)
    answer = run_job("caption", job(worker.plugin, threads=2))
    assert answer.failure is not None and answer.failure.kind == "RuntimeError"
    said = json.loads(answer.failure.message)
    assert (said["early"], said["threads"]) == (False, min(2, os.cpu_count() or 1))
    fixed = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "GOMP_SPINCOUNT": "10000", "OPENBLAS_NUM_THREADS": "1"}
    assert fixed.items() <= said["environment"].items() and fixed.items() <= worker_environment(2).items()
    assert not set(SHELL) & said["environment"].keys(), "what steers a worker comes from the run, not from the shell"
    assert set(NEEDED) <= said["environment"].keys()


def test_declared_variables_and_a_command_are_there_before_python_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tell = """
lines = [line.decode() for line in open("/proc/self/environ", "rb").read().split(b"\\0")]
raise RuntimeError(json.dumps(sorted(line for line in lines if line.startswith(("GLIBC_", "GOMP_", "UNDER")))))
"""
    monkeypatch.setenv("GOMP_CPU_AFFINITY", "0")  # of the shell, which does not count
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.arena_max=1")
    declared = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "GOMP_SPINCOUNT": "INFINITY"}
    answer = run_job("caption", job(Worker(tmp_path, tell).plugin, environment=declared, under=["env", "UNDER=yes"]))
    assert answer.failure is not None and answer.failure.kind == "RuntimeError", answer.failure
    assert json.loads(answer.failure.message) == ["GLIBC_TUNABLES=glibc.malloc.hugetlb=1", "GOMP_SPINCOUNT=INFINITY", "UNDER=yes"]
    policy = worker_environment(2, declared={"OMP_WAIT_POLICY": "PASSIVE"})
    assert policy["OMP_WAIT_POLICY"] == "PASSIVE" and "GOMP_SPINCOUNT" not in policy, "libgomp would follow the count alone"


def test_a_library_that_cannot_be_preloaded_is_an_error_and_no_warning(tmp_path: Path) -> None:
    worker = Worker(tmp_path, "raise RuntimeError('went on')")
    answer = run_job("caption", job(worker.plugin, environment={"LD_PRELOAD": "/no/such/library.so"}))
    assert answer.failure is not None and answer.failure.message.startswith("LD_PRELOAD: /no/such/library.so, of the settings")
    there = next(line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libc.so" in line)
    answer = run_job("caption", job(worker.plugin, environment={"LD_PRELOAD": there}))
    assert answer.failure is not None and answer.failure.message == "went on"


def test_suite_yaml_may_not_set_what_a_worker_sets() -> None:
    schema = json.loads((ROOT / "vlmgate" / "suite.schema.json").read_text(encoding="utf-8"))
    refused = schema["$defs"]["settings"]["properties"]["environment"]["propertyNames"]["not"]["enum"]
    own = {name for name, value in worker_environment(2).items() if os.environ.get(name) != value} | {"PYTHONPATH", "TMPDIR"}
    assert set(refused) >= own - set(WAITING) and not set(refused) & set(WAITING)


@contextmanager
def run_elsewhere(worker: Worker, temporary: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that runs a job, once its worker sleeps."""
    code = f"""
        from vlmgate.measure import run_job
        run_job("caption", {job(worker.plugin)!r})
    """
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as parent:
        try:
            until = time.monotonic() + 60
            while not (worker.notes.exists() and worker.notes.read_text(encoding="utf-8").endswith("}")):
                assert parent.poll() is None and time.monotonic() < until
                time.sleep(0.05)
            yield parent
        finally:
            parent.kill()


def test_ctrl_c_ends_a_run_soon_and_leaves_no_orphan(tmp_path: Path, temporary: Path) -> None:
    worker = Worker(tmp_path, "time.sleep(600)")
    with run_elsewhere(worker, temporary) as parent:
        load, began = busy(), time.monotonic()
        parent.send_signal(signal.SIGINT)
        _, errors = parent.communicate(timeout=60)  # the worker alone would sleep for ten minutes
        assert time.monotonic() - began < 2 * max(load, busy()), "2 s, on a machine that does nothing else"
    assert errors.rstrip().endswith("KeyboardInterrupt")
    worker.assert_gone()
    assert not list(temporary.iterdir())


def test_a_worker_ends_with_a_parent_that_is_killed(tmp_path: Path, temporary: Path) -> None:
    worker = Worker(tmp_path, "time.sleep(600)")
    with run_elsewhere(worker, temporary) as parent:
        said = json.loads(worker.notes.read_text(encoding="utf-8"))
        parent.kill()
    try:
        assert alive(said["worker"]) is None
    finally:
        os.kill(said["child"], signal.SIGKILL)


def test_a_silent_worker_is_waited_for_no_longer_than_there_is_time_left(tmp_path: Path, temporary: Path) -> None:
    """What is left is asked for anew after each message; a worker whose patience ends first is hung all the same."""
    silent = tmp_path / "silent"
    word = '{"event": "tick", "done": 1, "of": 2}'
    silent.write_text(f"#!/bin/sh\necho '{word}' > /proc/self/fd/$4\nexec sleep 600\n", encoding="utf-8")
    silent.chmod(0o755)
    heard: list[Message] = []
    with pytest.raises(BudgetSpent):
        run_job(
            "block", {"threads": 1}, python=str(silent), patience=60, left=lambda: 0.0 if heard else 59, listener=heard.append
        )
    assert [message["event"] for message in heard] == ["tick"]
    answer = run_job("block", {"threads": 1}, python=str(silent), patience=0.2, left=lambda: 1.0)
    assert answer.failure and answer.failure.kind == "hang"
    assert not list(temporary.iterdir())
