"""`vlmgate caption`: images captioned by several variants of one model."""

import argparse
import math
import sys
from dataclasses import asdict
from pathlib import Path
from statistics import median

from tabulate import tabulate

from vlmgate.cli.common import PASSED, Command, add_weights, count, missing, open_suite, root_of
from vlmgate.datasets.images import open_image
from vlmgate.measure import answer_of, run_job
from vlmgate.models.source import with_source
from vlmgate.running import cache_folder
from vlmgate.spec import Variant
from vlmgate.spec.names import known
from vlmgate.stats import block_value
from vlmgate.suite import Suite


def caption(options: argparse.Namespace) -> int:
    """Caption images with several variants of one model: caption, seconds and speed-up of each."""
    suite = open_suite(options)
    for path in options.images:
        open_image(Path(path))  # a bad image is named before any model is loaded
    model = with_source(known(suite.models, options.model, "model"), options.model_source, options.model_path)
    variants = _with_fallback(suite, [known(suite.variants, name, "variant") for name in ["fp32", *options.variants]])
    common = {"threads": options.threads, "plugins": list(suite.plugins), "batch": 1, "image_size": None}
    extra = {
        "model": asdict(model),
        "variants": [asdict(v) for v in variants],
        "root": str(root_of(options)),
        "cache": str(cache_folder()),
    }
    prepared = answer_of(run_job("prepare", common | extra))
    arms = [{"name": name, "folder": data["folder"]} for name, data in prepared.arms.items() if "folder" in data]
    job = common | {"images": [str(Path(path).resolve()) for path in options.images], "max_tokens": options.max_tokens}
    texts = answer_of(run_job("caption", job | {"arms": arms})).arms
    timing = job | {"arms": arms, "rounds": 3, "seed": 0, "new_tokens": options.new_tokens}
    times = answer_of(run_job("block", timing)).result["times"]
    head = ["variant", "caption", f"time [s] for {options.new_tokens} tokens", "speed-up"]
    for number, path in enumerate(options.images):
        rows = []
        for name in (arm["name"] for arm in arms):
            seconds, reference = times[name][number], times[arms[0]["name"]][number]
            speed = math.exp(block_value([reference], [seconds]))
            rows.append([name, texts[name]["captions"][number], median(seconds), f"{speed:.2f}×"])
        print(f"{path}\n{tabulate(rows, headers=head, floatfmt='.3f')}\n")
    return PASSED


def _with_fallback(suite: Suite, variants: list[Variant]) -> list[Variant]:
    """Variants that run here, each once; one that cannot is replaced by fp16-cuda where there is a GPU, and it says so."""
    why = missing(suite, [*variants, suite.variants["fp16-cuda"]])
    chosen = []
    for variant in variants:
        if not why[variant.name]:
            chosen.append(variant)
            continue
        fallback = "" if why["fp16-cuda"] else "; fp16-cuda runs in its place"
        print(f"vlmgate: {variant.name} skipped: {why[variant.name]}{fallback}", file=sys.stderr)
        chosen += [suite.variants["fp16-cuda"]] if fallback else []
    return list({variant.name: variant for variant in chosen}.values())


def add(command: Command) -> None:
    """The parser of this module's commands."""
    one = command("caption", caption, "caption images with several variants of one model, with seconds and speed-up")
    one.add_argument("images", nargs="+", metavar="IMAGE", help="image files")
    one.add_argument("--model", default="scene-blip", metavar="NAME", help="a model of `vlmgate list` (default: %(default)s)")
    one.add_argument(
        "--variants", nargs="+", default=["int8-dynamic"], metavar="NAME", help="beside fp32 (default: int8-dynamic)"
    )
    add_weights(one)
    one.add_argument("--max-tokens", type=count, default=24, metavar="N", help="longest caption (default: %(default)s)")
    one.add_argument(
        "--new-tokens", type=count, default=16, metavar="N", help="tokens for the timing, always so many (default: %(default)s)"
    )
