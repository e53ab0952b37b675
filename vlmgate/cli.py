"""The command line: list, caption, judge, report, promote and env. Imports no torch; models run in workers."""

import argparse
import math
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from tabulate import tabulate

from vlmgate.datasets import DATASETS
from vlmgate.datasets.images import open_image
from vlmgate.judge import judge_run
from vlmgate.judge.estimates import group_of, speed_values
from vlmgate.measure import run_job
from vlmgate.metrics import METRICS
from vlmgate.models import MODELS
from vlmgate.models.source import with_source
from vlmgate.record import find_run, fingerprint, load_baselines, nearest, promote, read_run
from vlmgate.report import terminal, write_reports
from vlmgate.run import cache_folder, most_threads
from vlmgate.spec import Case, Outcome, Run, Variant, VlmgateError
from vlmgate.stats import block_value
from vlmgate.suite import Suite, load_suite, reference_of
from vlmgate.suite.document import unknown
from vlmgate.variants import VARIANTS

PASSED, FAILED, UNRESOLVED, USAGE, INTERRUPTED, UNREAD = 0, 1, 3, 4, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status.

    0 good, 1 a gate failed, 3 unresolved under --strict, 4 usage, 130 Ctrl-C, 141 nobody read to the end (a closed pipe).
    """
    options = _parser().parse_args(arguments)
    try:
        status: int = options.command(options)
        sys.stdout.flush()  # here, where a reader that has gone is met
        return status
    except VlmgateError as error:
        print(f"vlmgate: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("vlmgate: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its end (docs: signal)
        return UNREAD


def list_everything(options: argparse.Namespace) -> int:
    """Models, variants (with why one cannot run here), datasets and tiers."""
    suite = _suite(options)
    why = _missing(suite, list(suite.variants.values()))
    print("Models\n" + tabulate([[m.name, m.source.value, m.about] for m in suite.models.values()], tablefmt="plain"))
    rows = [[v.name, v.about, f"skipped here: {why[v.name]}" if why[v.name] else "runs here"] for v in suite.variants.values()]
    print("\nVariants\n" + tabulate(rows, tablefmt="plain"))
    names = dict(DATASETS) | {name: str(about) for name, about in suite.datasets.items()}
    print("\nDatasets\n" + tabulate(list(names.items()), tablefmt="plain"))
    for tier in suite.tiers.values():
        print(f"\nTier {tier.name}: {tier.about}")
        for head, cases in groupby(tier.cases, key=lambda case: f"{case.model.name} on {case.dataset}"):
            print(f"  {head}: " + ", ".join(_listed(case, tier.cases, why) for case in cases))
    return PASSED


def _listed(case: Case, cases: Sequence[Case], why: Mapping[str, str]) -> str:
    note = "reference" if reference_of(case, cases) is case else ""
    return f"{case.variant.name}{f' ({note})' if note else ''}{' (skipped here)' if why[case.variant.name] else ''}"


def caption(options: argparse.Namespace) -> int:
    """Caption images with several variants of one model: caption, seconds and speed-up of each."""
    suite = _suite(options)
    for path in options.images:
        open_image(Path(path))  # a bad image is named before any model is loaded
    model = with_source(_known(suite.models, options.model, "model"), options.model_source, options.model_path)
    variants = _with_fallback(suite, [_known(suite.variants, name, "variant") for name in ["fp32", *options.variants]])
    common = {"threads": options.threads, "plugins": list(suite.plugins), "batch": 1, "image_size": None}
    extra = {
        "model": asdict(model),
        "variants": [asdict(v) for v in variants],
        "root": str(_root(options)),
        "cache": str(cache_folder()),
    }
    prepared = _answer(run_job("prepare", common | extra))
    arms = [{"name": name, "folder": data["folder"]} for name, data in prepared.arms.items() if "folder" in data]
    job = common | {"images": [str(Path(path).resolve()) for path in options.images], "max_tokens": options.max_tokens}
    texts = _answer(run_job("caption", job | {"arms": arms})).arms
    timing = job | {"arms": arms, "rounds": 3, "seed": 0, "new_tokens": options.new_tokens}
    times = _answer(run_job("block", timing)).result["times"]
    head = ["variant", "caption", f"time [s] for {options.new_tokens} tokens", "speed-up"]
    for number, path in enumerate(options.images):
        rows = []
        for name in (arm["name"] for arm in arms):
            seconds, reference = times[name][number], times[arms[0]["name"]][number]
            speed = math.exp(block_value([reference], [seconds]))
            rows.append([name, texts[name]["captions"][number], median(seconds), f"{speed:.2f}×"])
        print(f"{path}\n{tabulate(rows, headers=head, floatfmt='.3f')}\n")
    return PASSED


def judge(options: argparse.Namespace) -> int:
    """Judge a stored run again, with any suite file and baselines; needs no torch."""
    suite = _suite(options)
    stored = read_run(find_run(options.results, options.run))
    run = rejudged(stored, suite, _baselines(options))
    print(terminal.render(run, colour=sys.stdout.isatty(), record=find_run(options.results, options.run).parent))
    outcomes = {verdict.outcome for verdict in run.verdicts}
    if Outcome.FAIL in outcomes:
        return FAILED
    return UNRESOLVED if options.strict and Outcome.UNRESOLVED in outcomes else PASSED


def report(options: argparse.Namespace) -> int:
    """Write comparison.md and comparison.csv of a stored run again."""
    path = find_run(options.results, options.run)
    for written in write_reports(read_run(path), path.parent):
        print(written)
    return PASSED


def promote_run(options: argparse.Namespace) -> int:
    """Make a good run, judged by suite.yaml as it is now, the baseline of its environment."""
    run = rejudged(read_run(find_run(options.results, options.run)), _suite(options), _baselines(options))
    written = promote(
        run, _baselines(options), cases=options.cases, reason=options.reason, force=options.force, block_values=log_values(run)
    )
    for path in written:
        print(path)
    return PASSED


def environment(options: argparse.Namespace) -> int:
    """Print what identifies this machine to the suite, and which baselines apply."""
    here = fingerprint(options.threads or most_threads(_suite(options)))
    print(tabulate([[key, value] for key, value in {"name": here.name, **here.key}.items()], tablefmt="plain"))
    found = load_baselines(_baselines(options), here)
    print(f"\n{len(found)} baselines for this environment in {_baselines(options)}")
    for name, unlike in nearest(_baselines(options), here).items():
        print(f"{name} differs: {'; '.join(unlike)}")
    return PASSED


def rejudged(run: Run, suite: Suite, baselines: Path) -> Run:
    """The run with verdicts by ``suite`` and the baselines of the run's own environment."""
    thresholds = {record.id: suite.thresholds_for(record.id) for record in run.cases}
    timing = bool(run.blocks)
    return replace(
        run, verdicts=judge_run(run, thresholds, suite.metrics, load_baselines(baselines, run.environment), timing=timing)
    )


def log_values(run: Run) -> dict[str, dict[str, tuple[float, ...]]]:
    """Case id → metric → block values, as a baseline keeps them: log speed-up, for a reference against the yardstick."""
    records = {record.id: record for record in run.cases}
    found = {}
    for record in run.cases:
        blocks = [b for b in run.blocks if b.model == group_of(record) and record.variant in b.times]
        reference = records[record.reference].variant if record.reference else None
        if values := speed_values(blocks, record.variant, reference):
            found[record.id] = {"time_per_caption": values}
    return found


def _suite(options: argparse.Namespace) -> Suite:
    return load_suite(options.suite, MODELS, VARIANTS, DATASETS, METRICS)


def _root(options: argparse.Namespace) -> Path:
    root: Path = options.suite.resolve().parent.parent
    return root


def _baselines(options: argparse.Namespace) -> Path:
    return options.baselines or _root(options) / "baselines"


def _known(table: Any, name: str, kind: str) -> Any:
    if name not in table:
        raise VlmgateError(unknown(kind, name, table))
    return table[name]


def _missing(suite: Suite, variants: list[Variant]) -> dict[str, str]:
    job = {"threads": 1, "plugins": list(suite.plugins), "variants": [asdict(variant) for variant in variants]}
    return dict(_answer(run_job("probe", job)).result)


def _with_fallback(suite: Suite, variants: list[Variant]) -> list[Variant]:
    """Variants that run here, each once; one that cannot is replaced by fp16-cuda where there is a GPU, and it says so."""
    why = _missing(suite, [*variants, suite.variants["fp16-cuda"]])
    chosen = []
    for variant in variants:
        if not why[variant.name]:
            chosen.append(variant)
            continue
        fallback = "" if why["fp16-cuda"] else "; fp16-cuda runs in its place"
        print(f"vlmgate: {variant.name} skipped: {why[variant.name]}{fallback}", file=sys.stderr)
        chosen += [suite.variants["fp16-cuda"]] if fallback else []
    return list({variant.name: variant for variant in chosen}.values())


def _answer(answer: Any) -> Any:
    if answer.failure and answer.failure.kind == VlmgateError.__name__:
        raise VlmgateError(answer.failure.message)  # a sentence for users as it stands
    if answer.failure:
        log = f"\n{answer.failure.log}" if answer.failure.log else ""
        raise VlmgateError(f"{answer.failure.arm or 'worker'}, {answer.failure.stage}: {answer.failure.message}{log}")
    return answer


def _count(text: str) -> int:
    with suppress(ValueError):
        if (value := int(text)) > 0:
            return value
    raise argparse.ArgumentTypeError(f"expected a whole number above zero, got '{text}'")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vlmgate",
        description="Gates for compressed vision-language models.",
        epilog="Runs are made by `pytest benchmarks/`.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--suite", type=Path, default=Path("benchmarks/suite.yaml"), metavar="FILE", help="suite file (default: %(default)s)"
    )
    shared.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="where runs are (default: %(default)s)"
    )
    shared.add_argument(
        "--baselines", type=Path, metavar="DIR", help="promoted baselines (default: baselines/ beside the suite's folder)"
    )

    def command(name: str, function: Any, words: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, parents=[shared], help=words, description=words)
        made.set_defaults(command=function)
        return made

    command("list", list_everything, "show models, variants, datasets and tiers, and what would be skipped here and why")
    one = command("caption", caption, "caption images with several variants of one model, with seconds and speed-up")
    one.add_argument("images", nargs="+", metavar="IMAGE")
    one.add_argument("--model", default="scene-blip", metavar="NAME")
    one.add_argument(
        "--variants", nargs="+", default=["int8-dynamic"], metavar="NAME", help="beside fp32 (default: int8-dynamic)"
    )
    one.add_argument("--model-source", choices=["hub", "local", "random"])
    one.add_argument("--model-path", metavar="DIR", help="checkpoint folder in save_pretrained layout")
    one.add_argument("--threads", type=_count, default=2, metavar="N")
    one.add_argument("--max-tokens", type=_count, default=24, metavar="N", help="longest caption (default: %(default)s)")
    one.add_argument(
        "--new-tokens", type=_count, default=16, metavar="N", help="tokens for the timing, always so many (default: %(default)s)"
    )
    two = command("judge", judge, "judge a stored run again (no torch needed)")
    two.add_argument("run", nargs="?", default="latest", metavar="RUN", help="name or path of a run (default: latest)")
    two.add_argument("--strict", action="store_true", help="exit with 3 when a gate is unresolved")
    three = command("report", report, "write the comparison tables of a stored run again")
    three.add_argument("run", nargs="?", default="latest", metavar="RUN")
    four = command("promote", promote_run, "make a good run the baseline of its environment")
    four.add_argument("run", nargs="?", default="latest", metavar="RUN")
    four.add_argument("--cases", nargs="+", metavar="PATTERN", help="only these case ids (shell patterns)")
    four.add_argument("--reason", default="", metavar="TEXT", help="why this run is the new baseline")
    four.add_argument("--force", action="store_true", help="take failed or unresolved cases too; they stay marked")
    five = command("env", environment, "show what identifies this machine, and which baselines apply")
    five.add_argument("--threads", type=_count, metavar="N", help="default: the most that a case of the suite uses")
    return parser
