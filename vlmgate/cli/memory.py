"""`vlmgate memory`: where one variant of a model holds its memory, as a flame graph and a list of the largest allocations."""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tabulate import tabulate

from vlmgate.cli.common import PASSED, Command, add_weights, missing, open_suite, root_of
from vlmgate.datasets import load_dataset
from vlmgate.measure import answer_of, run_job
from vlmgate.models.source import with_source
from vlmgate.running import cache_folder
from vlmgate.spec import Model, Variant, VlmgateError
from vlmgate.spec.names import known
from vlmgate.suite import Suite

NEW_TOKENS = 16


def memory(options: argparse.Namespace) -> int:
    """Load and run the variant under memray; writes the flame graph and prints the largest allocations at the peak."""
    suite = open_suite(options)
    model, variant = _named(suite, options.what)
    if why := missing(suite, [variant])[variant.name]:
        raise VlmgateError(f"{variant.name} cannot run here: {why}")
    target = options.output or Path(f"memory-{model.name}-{variant.name}.html")
    if not target.parent.is_dir():
        raise VlmgateError(f"{target.parent} is no folder; give a file in one that is there (--output FILE)")
    with tempfile.TemporaryDirectory() as scratch:
        trace = Path(scratch) / "heap.bin"
        answer = _traced(suite, model, variant, options, trace)
        _flame_graph(trace, target)
    peaks = answer.arms[variant.name]
    rows = [[name.replace("_", " "), f"{value / 1e6:.1f}"] for name, value in peaks.items()]
    print(tabulate(rows, headers=["peak", "MB"], disable_numparse=True, colalign=("left", "right")))
    places = [
        [f"{size / 1e6:.1f}", number, f"{function} ({_short(file)}:{line})" if line else function]
        for size, number, function, file, line in answer.result["largest"]
    ]
    print("\n" + tabulate(places, headers=["MB", "allocations", "held at the peak by"], disable_numparse=True))
    print(f"\n{target}")
    return PASSED


def _named(suite: Suite, what: list[str]) -> tuple[Model, Variant]:
    """Model and variant from ``CASE`` (model/variant/dataset) or from ``MODEL VARIANT``."""
    names = what[0].split("/")[:2] if len(what) == 1 else what
    if len(names) != 2:
        raise VlmgateError(f"expected a case such as scene-blip/int8-dynamic/scenes, or MODEL VARIANT; got '{' '.join(what)}'")
    model: Model = known(suite.models, names[0], "model")
    variant: Variant = known(suite.variants, names[1], "variant")
    return model, variant


def _traced(suite: Suite, model: Model, variant: Variant, options: argparse.Namespace, trace: Path) -> Any:
    """The worker's answer to a memory job that leaves its trace."""
    root, cache = root_of(options), cache_folder()
    model = with_source(model, options.model_source, options.model_path)
    common = {"threads": options.threads, "plugins": list(suite.plugins), "batch": 1, "image_size": None}
    extra = {"model": asdict(model), "variants": [asdict(variant)], "root": str(root), "cache": str(cache)}
    folder = answer_of(run_job("prepare", common | extra)).arms[variant.name]["folder"]
    image = load_dataset("scenes", root, cache, 1).examples[0].image
    job = common | {"arms": [{"name": variant.name, "folder": folder}], "images": [image], "new_tokens": NEW_TOKENS}
    return answer_of(run_job("memory", job | {"trace": str(trace)}))


def _flame_graph(trace: Path, target: Path) -> None:
    """An HTML file by memray's own reporter."""
    command = [sys.executable, "-m", "memray", "flamegraph", "--force", "--output", str(target), str(trace)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise VlmgateError(
            f"memray could not write {target} ({said[-1][-300:]}); give a file that can be written (--output FILE)"
        )


def _short(file: str) -> str:
    """The last parts of a path."""
    return "/".join(Path(file).parts[-3:])


def add(command: Command) -> None:
    """The parser of this module's command."""
    one = command("memory", memory, "write a flame graph of the memory of one variant, and list its largest allocations")
    one.add_argument("what", nargs="+", metavar="CASE", help="a case such as scene-blip/int8-dynamic/scenes, or MODEL VARIANT")
    one.add_argument("--output", type=Path, metavar="FILE", help="HTML file (default: memory-MODEL-VARIANT.html)")
    add_weights(one)
