"""Jobs for real workers, and a plugin whose variants play tricks: spy on calls, take much memory, die."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vlmgate.protocol import Message
from vlmgate.spec import Step, Variant

ROOT = Path(__file__).resolve().parents[1]
IMAGES = [str(path) for path in sorted((ROOT / "fixtures" / "scenes" / "images").glob("*.jpg"))[:3]]
SPIKE = 200_000_000  # bytes that the variant `spike` takes while it is loaded, and gives back
NEW_TOKENS = 5  # of every timed call here; nothing else generates so many

TRICKS = """
import gc, json, os, shutil, signal
from pathlib import Path

from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, Source, Step, Variant

MODELS = {{"tiny": Model("tiny", "blip", Source.LOCAL, {checkpoint!r}, BLIP_PARTS)}}
VARIANTS = {{
    "slow": Variant("slow", (Step("slowed", {{"share": 1.0}}),), about="twice as slow on purpose"),
    "dies": Variant("dies", (Step("trick", {{"do": "die", "most": {new_tokens}}}),), about="kills its worker when timed"),
}}
RECIPES = {{"trick": __name__}}


def missing(parameters):
    return ""


def apply(model, prefixes, parameters):
    pass


def attach(captioner, parameters):
    plain, do = captioner.tokens, parameters["do"]
    if do == "spike":
        spike = b"x" * parameters["bytes"]
        del spike
    if do == "die at once":
        os.kill(os.getpid(), signal.SIGKILL)

    def tokens(inputs, *, least, most):
        if do == "die" and most == parameters["most"]:
            os.kill(os.getpid(), signal.SIGKILL)
        ids = plain(inputs, least=least, most=most)
        if do == "spy":
            call = {{"asked": [least, most], "shape": list(ids.shape), "gc": gc.isenabled()}}
            with open(parameters["log"], "a") as file:
                file.write(json.dumps(call) + "\\n")
        return ids

    captioner.tokens = tokens
"""

FAMILY = """

FAMILIES = {{"blip": __name__}}
MODELS["tiny-random"] = Model("tiny-random", "blip", Source.RANDOM, "tiny", BLIP_PARTS)


def build_random(location, folder):
    shutil.copytree({checkpoint!r}, folder, dirs_exist_ok=True)


def generate(model, inputs, *, least, most):
    from vlmgate.models import blip

    if most == {new_tokens}:
        os.kill(os.getpid(), signal.SIGSEGV)
    return blip.generate(model, inputs, least=least, most=most)
"""


def write_tricks(path: Path, checkpoint: Path, *, family: bool = False) -> Path:
    """The plugin as a file. With ``family`` there is a model of random weights too, and every model dies when it is timed."""
    source = TRICKS + (FAMILY if family else "")
    path.write_text(source.format(checkpoint=str(checkpoint), new_tokens=NEW_TOKENS), encoding="utf-8")
    return path


def trick(name: str, **parameters: Any) -> Variant:
    """A variant of the plugin's recipe."""
    return Variant(name, (Step("trick", parameters),))


def job(plugin: Path, **more: Any) -> Message:
    """What every job has, and more."""
    fixed = {
        "threads": 1,
        "batch": 1,
        "new_tokens": NEW_TOKENS,
        "max_tokens": 8,
        "image_size": None,
        "arms": [],
        "images": IMAGES,
    }
    return {**fixed, "plugins": [str(plugin)], **more}


def in_this_process(
    do: Callable[[Message, Callable[[Message], object]], None],
    job: Message,
    hear: Callable[[Message], object] = lambda said: None,
) -> list[Message]:
    """What a worker's job says when it is done here, where a test can put something else in the place of a device."""
    said: list[Message] = []
    try:
        do(job, lambda message: (hear(message), said.append(message)))
    finally:
        gc.unfreeze()
        gc.enable()
    return said
