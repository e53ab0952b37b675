"""The job that captions every image with every arm."""

import gc
import time
from pathlib import Path

from vlmgate.protocol import Message
from vlmgate.worker.common import Emit, load, register, set_threads
from vlmgate.worker.imports import import_libraries


def caption(job: Message, emit: Emit) -> None:
    """Caption every image with every arm, at the batch size that is shipped."""
    from vlmgate.datasets.images import open_image

    register(job)
    import_libraries(job)
    set_threads(job)
    for arm in job["arms"]:
        emit({"event": "stage", "arm": arm["name"], "stage": "loading"})
        captioner = load(arm, job)
        emit({"event": "stage", "arm": arm["name"], "stage": "captioning"})
        texts, seconds = [], []
        for start in range(0, len(job["images"]), job["batch"]):
            images = [open_image(Path(path)) for path in job["images"][start : start + job["batch"]]]
            began = time.perf_counter()
            texts += captioner.caption(images, job["max_tokens"])
            seconds.append(time.perf_counter() - began)
            emit({"event": "tick", "done": len(texts), "of": len(job["images"])})
        emit({"event": "arm", "arm": arm["name"], "data": {"captions": texts, "seconds": seconds}})
        del captioner
        gc.collect()
