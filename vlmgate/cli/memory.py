"""`vlmgate memory`: where one variant of a model holds its memory, as a flame graph and a list of the largest allocations."""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tabulate import tabulate

from vlmgate.cli.common import PASSED, Command, add_weights, missing, open_suite, root_of
from vlmgate.measure import answer_of, run_job
from vlmgate.models.source import with_source
from vlmgate.report.terminal import declared, timed_how
from vlmgate.running import cache_folder
from vlmgate.running.group import how_to_run
from vlmgate.running.preparing import first_images
from vlmgate.spec import Case, Model, Settings, Variant, VlmgateError
from vlmgate.spec.names import known
from vlmgate.suite import Suite

PLAIN = Settings(new_tokens=16)  # of MODEL VARIANT
FIRST = "default"  # the tier that is looked at first


def memory(options: argparse.Namespace) -> int:
    """Load and run the variant under memray; writes the flame graph and prints the largest allocations at the peak."""
    suite = open_suite(options)
    case, tier = _named(suite, options.what, options.tier)
    if options.threads:
        case = replace(case, settings=replace(case.settings, threads=options.threads))
    model, variant = case.model, case.variant
    if why := missing(suite, [variant])[variant.name]:
        raise VlmgateError(f"{variant.name} cannot run here: {why}")
    target = options.output or Path(f"memory-{model.name}-{variant.name}.html")
    if not target.parent.is_dir():
        raise VlmgateError(f"{target.parent} is no folder; give a file in one that is there (--output FILE)")
    with tempfile.TemporaryDirectory() as scratch:
        trace = Path(scratch) / "heap.bin"
        answer = _traced(suite, case, options, trace)
        _flame_graph(trace, target)
    print(f"{tier}{timed_how(case.settings)}{declared(case.settings)}\n")
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


def _named(suite: Suite, what: list[str], tier: str | None) -> tuple[Case, str]:
    """The case of ``CASE`` (model/variant/dataset) with the words "tier NAME: " that gives its settings, or one of
    ``MODEL VARIANT`` on scenes."""
    names = what[0].split("/", 2) if len(what) == 1 else what
    if len(names) < 2 or len(what) > 2:
        raise VlmgateError(f"expected a case such as scene-blip/int8-dynamic/scenes, or MODEL VARIANT; got '{' '.join(what)}'")
    model: Model = known(suite.models, names[0], "model")
    variant: Variant = known(suite.variants, names[1], "variant")
    if len(names) == 2:
        return Case(model, variant, "scenes", PLAIN, ()), ""
    places = [suite.tier(tier)] if tier else sorted(suite.tiers.values(), key=lambda each: each.name != FIRST)
    for place in places:
        for case in place.cases:
            if case.id == what[0]:
                return case, f"tier {place.name}: "
    lacks = f"tier {tier} of {suite.path} does not declare" if tier else f"no tier of {suite.path} declares"
    raise VlmgateError(f"{lacks} {what[0]}; name one of its cases (`vlmgate list`), or MODEL VARIANT")


def _traced(suite: Suite, case: Case, options: argparse.Namespace, trace: Path) -> Any:
    """The worker's answer to a memory job that leaves its trace, told of the case what a run tells it."""
    root, cache, variant = root_of(options), cache_folder(), case.variant
    model = with_source(case.model, options.model_source, options.model_path)
    common = {"plugins": list(suite.plugins), **how_to_run(case.settings)}
    extra = {"model": asdict(model), "variants": [asdict(variant)], "root": str(root), "cache": str(cache)}
    folder = answer_of(run_job("prepare", common | extra)).arms[variant.name]["folder"]
    images = [one.image for one in first_images(suite, case.dataset, root, cache, case.settings.batch).examples]
    job = common | {"arms": [{"name": variant.name, "folder": folder}], "images": images}
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
    one.add_argument(
        "what",
        nargs="+",
        metavar="CASE",
        help="a case such as scene-blip/int8-dynamic/scenes, with the settings and images that suite.yaml gives it, or MODEL "
        f"VARIANT, with one of the scenes and {PLAIN.new_tokens} tokens",
    )
    one.add_argument(
        "--tier", metavar="NAME", help=f"whose settings the case has (default: {FIRST}, or else the first tier that declares it)"
    )
    one.add_argument("--output", type=Path, metavar="FILE", help="HTML file (default: memory-MODEL-VARIANT.html)")
    add_weights(one, f"those of the case, {PLAIN.threads} of MODEL VARIANT")
