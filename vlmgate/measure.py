"""Case → measurements: spawn a worker for one job, listen to it, and turn its end, however it ends, into values or a failure."""

import contextlib
import math
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from vlmgate import protocol
from vlmgate.protocol import GarbageError, Message
from vlmgate.record.environment import WAITING
from vlmgate.spec import Failure, VlmgateError

PATIENCE = 300.0  # seconds without any message after which a worker counts as hung
LOG_LINES = 12
TIDYING = 1.0  # seconds at most for the resource tracker of a worker that was killed

# of the shell: what steers threads, memory and kernels, which would move the numbers and stand nowhere
STEERING = (
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_"),
    *("LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_", "TCMALLOC_", "MIMALLOC_", "PYTHONMALLOC", "THP_MEM_ALLOC_ENABLE"),
    *("TORCH", "PYTORCH_", "ATEN_", "ONEDNN_", "DNNL_", "OV_", "ORT_", "CUBLAS", "NVIDIA_TF32_OVERRIDE"),
)
HARMLESS = ("_DIR", "_HOME", "_PATH", "_TELEMETRY")  # endings of those that say where files are, or what is told to others

Listener = Callable[[Message], None]


class BudgetSpent(Exception):  # noqa: N818 (it ends a loop, it is no error)
    """The caller has no time left for this job."""


@dataclass
class Answer:
    """What one job gave: results arm by arm, the job's own result, and the failure that ended it early, if any."""

    arms: dict[str, Message] = field(default_factory=dict)
    result: Message = field(default_factory=dict)
    failure: Failure | None = None
    calls: list[Any] = field(default_factory=list)  # of a block, told as they were made: what a worker that died leaves behind
    startup: float = 0.0  # seconds from spawning until the first arm was warmed up, or until the end
    seconds: float = 0.0


def worker_environment(
    threads: int, paths: Sequence[str] | None = None, declared: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Environment of a worker: thread counts and waiting policy are set before torch is imported. Modules are looked for in
    ``paths`` first (None: where this vlmgate is). ``declared`` are the variables of suite.yaml, which come before the others of
    the parent. Of the parent's, those that steer threads, memory or kernels (`STEERING`) are left out: what a run measures must
    not depend on the shell that it was started from.

    Threads that wait for each other spin for a bounded while (`WAITING`), unless ``declared`` has a policy, which libgomp follows
    only where no GOMP_SPINCOUNT is set. OpenBLAS gets one thread: the yardstick brings its own.
    """
    count = str(threads)
    waiting = {} if "OMP_WAIT_POLICY" in (declared or {}) else WAITING
    fixed = {
        **waiting,
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": "1",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # the order in which NVML counts GPUs, too
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONHASHSEED": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    first = [str(Path(__file__).parent.parent)] if paths is None else paths
    path = os.pathsep.join(filter(None, [*first, os.environ.get("PYTHONPATH")]))
    inherited = {name: value for name, value in os.environ.items() if not _steers(name)}
    return {**inherited, **fixed, **(declared or {}), "PYTHONPATH": path}


def _steers(name: str) -> bool:
    return name.startswith(STEERING) and not name.endswith(HARMLESS)


def run_job(
    do: str,
    job: Mapping[str, Any],
    *,
    listener: Listener | None = None,
    patience: float = PATIENCE,
    left: Callable[[], float] = lambda: math.inf,
    python: str = sys.executable,
    paths: Sequence[str] | None = None,
    memory_limit: int | None = None,
) -> Answer:
    """Do one job in a fresh worker and wait for it without using the CPU.

    The worker runs in a process group of its own, which is killed when this returns or raises (Ctrl-C included), with what it
    started outside of the group, so that no process is left behind. It has a temporary folder of its own, which goes with it.
    With ``paths`` its modules come from there first, vlmgate among them, and it starts in the first of them. ``memory_limit``:
    bytes of private memory that the worker may use (None: as many as there are). Of the job, ``environment`` (variables) and
    ``under`` (a command that becomes the worker, such as ``setarch -R``) are there before its Python starts.

    Raises:
        BudgetSpent: the worker is silent and the caller's time, of which ``left`` tells the seconds, has come to an end.
    """
    answer, stage = Answer(), ("", "starting")
    limits = {"memory_limit": memory_limit} if memory_limit else {}
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="vlmgate-", ignore_cleanup_errors=True) as scratch,
        tempfile.TemporaryFile("w+b") as log,
        _spawn(job, log, scratch, python, paths) as (process, source, sink),
    ):
        try:
            sink.write(protocol.encode({"version": protocol.VERSION, "do": do, **job, **limits}))
            sink.close()
            for message in _messages(source, patience, left):
                if message["event"] == "stage":
                    stage = (message["arm"], message["stage"])
                    answer.calls += message.get("calls", ())
                    if stage[1] == "warming" and not answer.startup:
                        answer.startup = time.monotonic() - began
                elif message["event"] == "arm":
                    answer.arms[message["arm"]] = message["data"]
                elif message["event"] == "result":
                    answer.result = message["data"]
                elif message["event"] == "failed":
                    answer.failure = Failure(*stage, message["kind"], message["message"], _tail(log))
                elif message["event"] == "done":
                    break
                if listener:
                    listener(message)
            else:
                answer.failure = answer.failure or _ended(process, stage, log, patience)
        except GarbageError as error:
            answer.failure = Failure(*stage, "garbage", f"the worker wrote a line that is not a message ({error})", _tail(log))
        except TimeoutError:
            answer.failure = Failure(*stage, "hang", f"no sign of life for {patience:g} s", _tail(log))
        except BrokenPipeError:
            answer.failure = _ended(process, stage, log, patience)
    answer.seconds = time.monotonic() - began
    return answer


def answer_of(answer: Answer) -> Answer:
    """The worker's answer, or its failure as a VlmgateError."""
    if answer.failure and answer.failure.kind == VlmgateError.__name__:
        raise VlmgateError(answer.failure.message)  # a sentence for users as it stands
    if answer.failure:
        log = f"\n{answer.failure.log}" if answer.failure.log else ""
        raise VlmgateError(f"{answer.failure.arm or 'worker'}, {answer.failure.stage}: {answer.failure.message}{log}")
    return answer


@contextlib.contextmanager
def _spawn(job: Mapping[str, Any], log: IO[bytes], scratch: str, python: str, paths: Sequence[str] | None) -> Any:
    """The process with the ends of its two pipes; on leaving, it is killed with all that it started, and reaped."""
    to_worker, from_parent = os.pipe()
    from_worker, to_parent = os.pipe()
    command = [*job.get("under", ()), python, "-m", "vlmgate.worker", str(to_worker), str(to_parent)]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=worker_environment(job["threads"], paths, job.get("environment")) | {"TMPDIR": scratch},
            cwd=paths[0] if paths else None,  # `python -m` looks into the folder it starts in before all others
            pass_fds=(to_worker, to_parent),
            start_new_session=True,
        )
    finally:
        os.close(to_worker)
        os.close(to_parent)
    with os.fdopen(from_parent, "wb", buffering=0) as sink, os.fdopen(from_worker, "rb", buffering=0) as source:
        try:
            yield process, source, sink
        finally:  # also when it is done: a worker has nothing to tidy up, and leaving torch takes a second
            _end(process.pid, scratch)
            process.wait()
            if "cache" in job:
                _sweep(Path(job["cache"]), process.pid)


def _end(group: int, scratch: str) -> None:
    """Kill a process group and what it started elsewhere; Python's resource tracker, if there is one, may first remove the
    shared memory it knows of.

    It does so when all others have gone, and ignores softer signals.
    """
    until = time.monotonic() + TIDYING
    while left := _members(group, scratch):
        late = time.monotonic() > until
        for pid in left:
            if late or b"resource_tracker" not in _read(f"/proc/{pid}/cmdline"):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        if late:
            break
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _members(group: int, scratch: str) -> list[int]:
    """The processes of a worker that have not ended: its group, and those that left it for a session of their own but have
    its temporary folder in their environment (Linux; elsewhere none is known)."""
    found, mark = [], b"TMPDIR=" + os.fsencode(scratch)
    for folder in Path("/proc").glob("[0-9]*"):
        state = _read(f"{folder}/stat").rpartition(b")")[2].split()  # state, parent, group …, after a name in brackets
        if len(state) < 3 or state[0] == b"Z":
            continue
        if int(state[2]) == group or mark in _read(f"{folder}/environ").split(b"\0"):
            found.append(int(folder.name))
    return found


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:  # it has just ended
        return b""


def _sweep(cache: Path, process: int) -> None:
    """Remove what a worker that was killed had half written: it writes to NAME.PID.partial and renames when whole."""
    for pattern in (f"artefacts/*/*.{process}.partial", f"random/*.{process}.partial"):
        for left in cache.glob(pattern):
            shutil.rmtree(left, ignore_errors=True)


def _messages(source: IO[bytes], patience: float, left: Callable[[], float]) -> Any:
    """Messages until the worker closes its end.

    Raises:
        TimeoutError: nothing came for ``patience`` seconds.
        BudgetSpent: nothing came for as many seconds as were ``left``.
        GarbageError: a line that is no message.
    """
    rest = b""
    while True:
        wait = min(patience, max(0.0, left()))
        ready, _, _ = select.select([source], [], [], wait)
        if not ready:
            raise TimeoutError if wait == patience else BudgetSpent
        data = source.read(65536)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield protocol.decode_event(line)


def _ended(process: "subprocess.Popen[bytes]", stage: tuple[str, str], log: IO[bytes], patience: float) -> Failure:
    """Why a worker closed its pipe without being done."""
    try:
        code = process.wait(timeout=min(patience, 10))
    except subprocess.TimeoutExpired:
        return Failure(*stage, "hang", "the worker closed its pipe and did not end", _tail(log))
    if code < 0:
        name = signal.Signals(-code).name
        advice = "; often the kernel's out-of-memory killer (see dmesg)" if name == "SIGKILL" else ""
        return Failure(*stage, name, f"the worker was killed by {name}{advice}", _tail(log))
    return Failure(*stage, f"exit {code}", f"the worker ended with status {code} before it was done", _tail(log))


def _tail(log: IO[bytes]) -> str:
    """The last lines of the worker's log."""
    log.flush()
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - 8192))
    return "\n".join(log.read().decode(errors="replace").splitlines()[-LOG_LINES:])
