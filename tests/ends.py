"""Arms that end badly in a block, each in a way of its own, for real: a plugin, a suite, and what is to be said of each."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobs import NEW_TOKENS, ROOT

from vlmgate.datasets import DATASETS
from vlmgate.measure import Answer
from vlmgate.metrics import METRICS
from vlmgate.models import MODELS
from vlmgate.running import Options, Session
from vlmgate.running.group import Group
from vlmgate.spec import Question
from vlmgate.suite import load_suite
from vlmgate.variants import VARIANTS

PATIENCE = 4.0  # seconds in a block; there a worker says more often that it lives, until the plugin's arms are called
LIMIT = 8 * 10**9  # bytes of a worker
LAST = "last words of "
# Name → what it was doing, kind of the failure, words of its message.
ENDS = {
    "misreads": ("preparing images", "ValueError", "no such size"),
    "raises": ("warming", "OverflowError", "too much"),
    "exits": ("warming", "exit 3", "ended with status 3 before it was done"),
    "segfaults": ("warming", "SIGSEGV", "killed by SIGSEGV"),
    "writes": ("warming", "garbage", "not a message (not JSON: b'Loading weights"),
    "hangs": ("warming", "hang", "no sign of life for 4 s"),
    "grows": (
        *("warming", "RuntimeError"),
        "the worker may use 8000 MB (--memory-limit): allow more, or use a smaller batch or variant",
    ),
}
WELL = "well"

PLUGIN = """
import contextlib, ctypes, json, os, subprocess, sys, tempfile, threading, time
from multiprocessing.shared_memory import SharedMemory

from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, Source, Step, Variant

MODELS = {{"tiny": Model("tiny", "blip", Source.LOCAL, {checkpoint!r}, BLIP_PARTS)}}
VARIANTS = {{name: Variant(name, (Step("ends", {{"as": name}}),), about="ends badly") for name in {names!r}}}
RECIPES = {{"ends": __name__}}
called = threading.Event()


def live():
    while not called.wait(0.2):
        with contextlib.suppress(OSError):
            os.write(pipe, b'{{"event": "tick", "done": 0, "of": 0}}\\n')


if sys.argv[0].endswith("worker/__main__.py"):
    pipe = int(sys.argv[2])
    threading.Thread(target=live, daemon=True).start()


def missing(parameters):
    return ""


def apply(model, prefixes, parameters):
    pass


def end(name):
    import torch

    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    kept = SharedMemory(create=True, size=4096)
    with open({notes!r}, "a") as file:
        file.write(json.dumps([os.getpid(), child.pid, tempfile.mkstemp()[1], "/dev/shm/" + kept.name]) + "\\n")
    print({last!r} + name, file=sys.stderr, flush=True)
    if name == "misreads":
        raise ValueError("no such size")
    if name == "raises":
        raise OverflowError("too much")
    if name == "exits":
        os._exit(3)
    if name == "segfaults":
        ctypes.string_at(0)
    if name == "writes":
        os.write(pipe, b"Loading weights: 100%\\n")
    if name == "grows":
        torch.empty({limit} * 5, dtype=torch.uint8)
    time.sleep(600)


def attach(captioner, parameters):
    plain, inputs_of = captioner.tokens, captioner.inputs

    def tokens(inputs, *, least, most):
        if most == {new_tokens}:
            called.set()
            if parameters["as"] != {well!r}:
                end(parameters["as"])
        return plain(inputs, least=least, most=most)

    def inputs(images):
        if parameters["as"] == "misreads" and images[0].width > 32:  # not the small one with which an artefact is checked
            end("misreads")
        return inputs_of(images)

    captioner.tokens, captioner.inputs = tokens, inputs
"""
SUITE = """\
schema: 1
plugins: [ends.py]
settings: {{images: 1, timed_images: 1, rounds: 1, blocks: 1, threads: 1, new_tokens: {new_tokens}, max_tokens: 8}}
tiers:
  smoke:
    cases:
      - {{models: [tiny], variants: {variants}, datasets: [scenes], questions: [latency, size]}}
thresholds:
  - {{cases: "*", metric: time_per_caption, against: reference, floor: 0.001, reason: speed}}
  - {{cases: "*", metric: parameters, against: limit, at_most: 1000000, reason: size}}
"""


class Impatient(Session):
    """A session that waits for a sign of life less long in blocks."""

    def job(self, group: Group, do: str, *arguments: Any, **more: Any) -> Answer:
        self.options = replace(self.options, patience=PATIENCE if do == "block" else 120)
        return super().job(group, do, *arguments, **more)


def session_of_bad_ends(bad: Sequence[str], folder: Path, checkpoint: Path, notes: Path) -> Session:
    """A session of one block with these of ``ENDS`` and an arm that is well; ``notes`` tells what they left behind."""
    names = [WELL, *bad]
    told = {"notes": str(notes), "last": LAST, "limit": LIMIT, "new_tokens": NEW_TOKENS, "well": WELL}
    (folder / "ends.py").write_text(PLUGIN.format(checkpoint=str(checkpoint), names=names, **told), encoding="utf-8")
    path = folder / "suite.yaml"
    path.write_text(SUITE.format(new_tokens=NEW_TOKENS, variants=f"[fp32, {', '.join(names)}]"), encoding="utf-8")
    suite = load_suite(path, MODELS, VARIANTS, DATASETS, METRICS)

    def selects(case: str, question: Question) -> bool:
        return case.split("/")[1] in names and question in (Question.LATENCY, Question.SIZE)

    return Impatient(suite, suite.tier("smoke"), selects, Options(ROOT, folder / "cache", memory_limit=LIMIT), {})
