"""Imports torch and transformers as quickly as they can be: that is most of what a fresh worker does before it measures."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vlmgate.protocol import Message
from vlmgate.variants.artefact import CARD

# What transformers imports where it is installed: for the losses of object detection (0.2 s) …
UNUSED = ("scipy",)
# … and for checkpoints that it packed itself, which artefacts of our own are not: their recipes import these when they need them.
PACKERS = ("torchao", "accelerate")


def import_libraries(job: Message) -> None:
    """Import what loads the job's arms and captions with them: its seconds are most of a worker's start-up.

    Libraries that transformers uses only for something else look to it as if they were not there; who imports them later finds
    them. What was imported stays until the process ends, so the garbage collector is off meanwhile and passes over it
    afterwards: else it walks all modules again and again (0.5 of 2.9 s of CPU time while importing, and 0.5 s with each of its
    full rounds after that).
    """
    was = gc.isenabled()
    gc.disable()
    try:
        ours = all((Path(arm["folder"]) / CARD).exists() for arm in job["arms"])
        with hidden(*UNUSED, *(PACKERS if ours else ())):
            import torch  # noqa: F401

            import vlmgate.artefacts  # noqa: F401
        gc.freeze()
    finally:
        if was:
            gc.enable()


@contextmanager
def hidden(*names: str) -> Iterator[None]:
    """Let libraries look as if they were not installed (None in `sys.modules`); one that is already imported stays visible."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # the import system's own word for "there is none"
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
