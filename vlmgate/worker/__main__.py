"""``python -m vlmgate.worker READ_FD WRITE_FD``: read one job, do it, report. See `vlmgate.protocol`."""

import os
import sys
import traceback
from collections.abc import Callable

from vlmgate import protocol
from vlmgate.protocol import Message
from vlmgate.worker.block import block
from vlmgate.worker.captions import caption
from vlmgate.worker.ceilings import ceilings
from vlmgate.worker.common import Emit, check_preloaded, end_with_parent, keep_to_cores, limit_memory
from vlmgate.worker.declaring import declare
from vlmgate.worker.memory import memory
from vlmgate.worker.preparing import prepare, probe
from vlmgate.worker.sizing import size
from vlmgate.worker.work import work

JOBS: dict[str, Callable[[Message, Emit], None]] = {
    "declare": declare,
    "probe": probe,
    "prepare": prepare,
    "block": block,
    "caption": caption,
    "memory": memory,
    "size": size,
    "work": work,
    "ceilings": ceilings,
}


def main(read_fd: int, write_fd: int) -> int:
    """Read one job, do it, report; returns the exit status."""
    end_with_parent()
    with os.fdopen(read_fd, "rb") as source, os.fdopen(write_fd, "wb", buffering=0) as sink:
        job = protocol.decode(source.readline())

        def emit(message: Message) -> None:
            sink.write(protocol.encode(message))

        try:
            if job.get("version") != protocol.VERSION:
                raise ValueError(f"protocol version {job.get('version')!r}, this worker speaks {protocol.VERSION}")
            check_preloaded(job)
            keep_to_cores(job)
            limit_memory(job)
            JOBS[job["do"]](job, emit)
        except Exception as error:
            traceback.print_exc()
            emit({"event": "failed", "kind": type(error).__name__, "message": said(error, job)})
            return 1
        emit({"event": "done"})
    return 0


def said(error: Exception, job: Message) -> str:
    """The error's words; where memory ran out on a GPU, or in this process under a limit, with what to do."""
    limit, words = job.get("memory_limit"), str(error)
    if _of_a_gpu(error):
        return f"{words}; the GPU's own memory is full: use a smaller batch or variant, or end what else runs on that GPU"
    if not limit or not (isinstance(error, MemoryError) or "allocate" in words):
        return words
    advice = f"the worker may use {limit / 1e6:.0f} MB (--memory-limit): allow more, or use a smaller batch or variant"
    return f"{words or 'out of memory'}; {advice}"


def _of_a_gpu(error: Exception) -> bool:
    """Whether the memory of a GPU ran out: torch has an exception for that, and none for the memory of this process."""
    return type(error).__name__ == "OutOfMemoryError" or "CUDA error: out of memory" in str(error)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
