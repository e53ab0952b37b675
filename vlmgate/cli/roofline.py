"""`vlmgate ceilings` measures what this machine can do at best, `vlmgate work` counts what the captions of a run take."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tabulate import tabulate

from vlmgate.cli.common import PASSED, Command, count, open_suite, root_of
from vlmgate.cli.sizing import where
from vlmgate.measure import answer_of, run_job
from vlmgate.models.source import own_folders, with_source
from vlmgate.protocol import Message
from vlmgate.record import find_run, fingerprint, read_run
from vlmgate.record.roofline import Ceilings, Rates, best_of, machine_of, read_ceilings, write_ceilings, write_work
from vlmgate.report.roofline import cells, heads
from vlmgate.spec import CaseRecord, Model, VlmgateError
from vlmgate.spec.names import known
from vlmgate.suite import Suite

LIBRARIES = ("torch", "numpy")
ROUNDS = 5
FOUND = "sha256"  # of a recipe in a record: what was found when it was prepared


def ceilings(options: argparse.Namespace) -> int:
    """Keep the fastest products and reads of several rounds in results/ceilings.json.

    Each round is a fresh worker for each number of threads, so that the tries of one are spread over the whole time: what slows
    the machine for some seconds slows a round and not a ceiling.
    """
    tries: dict[int, list[Rates]] = {threads: [] for threads in options.threads}
    for number in range(options.rounds):
        for threads, found in tries.items():
            found.append(_tried(threads, f"round {number + 1} of {options.rounds}, {threads} threads", options))
    made = [_ceilings(threads, best_of(found)) for threads, found in tries.items()]
    path = write_ceilings(made, options.results)
    kept = [each for each in read_ceilings(options.results) if each.machine == made[0].machine and each.threads in tries]
    rows = [cells(each) for each in kept]
    print(tabulate(rows, headers=heads(), disable_numparse=True))
    print(f"\n{path}")
    return PASSED


def _tried(threads: int, words: str, options: argparse.Namespace) -> Rates:
    def listen(message: Message) -> None:
        if message["event"] == "stage":
            print(f"vlmgate: {words}: {message['arm']}", file=sys.stderr, flush=True)

    job = {"threads": threads, "plugins": [], "sizes": options.sizes, "bytes": options.megabytes * 10**6}
    return dict(answer_of(run_job("ceilings", job | {"seconds": options.seconds}, listener=listen)).result)


def _ceilings(threads: int, found: Rates) -> Ceilings:
    here = fingerprint(threads)
    return Ceilings(
        machine=machine_of(here),
        threads=threads,
        rates={name: rate for name, (rate, _) in found.items()},
        how={name: how for name, (_, how) in found.items()},
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={name: here.info["versions"][name] for name in LIBRARIES if name in here.info["versions"]},
    )


def work(options: argparse.Namespace) -> int:
    """Count operations and bytes of a caption of every case of the runs, and keep them in work.json beside each run.json."""
    suite = open_suite(options)
    own = own_folders(options.model_path, suite.models)
    models = {name: with_source(model, None, own.get(name)) for name, model in suite.models.items()}
    for which in options.runs:
        path = find_run(options.results, which)
        run = read_run(path)
        found: dict[str, Any] = {}
        for name in dict.fromkeys(record.model for record in run.cases):
            records = [record for record in run.cases if record.model == name]
            found |= _of_model(suite, known(models, name, "model"), records, root_of(options))
        print(write_work(found, path.parent))
        print(tabulate([_row(case, told) for case, told in found.items()], headers=HEAD, disable_numparse=True), end="\n\n")
    return PASSED


HEAD = ("case", "encoder [10⁹]", "step [10⁹]", "bytes a step [MB]", "")


def _of_model(suite: Suite, model: Model, records: Sequence[CaseRecord], root: Path) -> dict[str, Any]:
    """Case id → its work; of a model whose configuration is not at hand, why there is none."""
    cases = [_case(record) for record in records]
    try:
        job = where(model, root) | {"threads": 1, "plugins": list(suite.plugins), "cases": cases}
        return dict(answer_of(run_job("work", job)).result)
    except VlmgateError as error:
        return {case["id"]: {"phases": [], "batch": case["batch"], "why": str(error)} for case in cases}


def _case(record: CaseRecord) -> dict[str, Any]:
    of, variant = record.settings, {key: value for key, value in record.recipe.items() if key != FOUND}
    settings = {"batch": of.batch, "beams": of.beams, "tokens": of.new_tokens, "image_size": of.image_size}
    return {"id": record.id, "variant": variant, **settings}


def _row(case: str, told: dict[str, Any]) -> tuple[str, ...]:
    if not told["phases"]:
        return (case, "–", "–", "–", told["why"])
    encoder, step = told["phases"]
    operations = (
        " + ".join(f"{number / 1e9:.3g} {kind}" for kind, number in each["operations"].items()) for each in (encoder, step)
    )
    return (case, *operations, f"{step['bytes'] / 1e6:.1f}", "")


def add(command: Command) -> None:
    """The parsers of this module's commands."""
    one = command("ceilings", ceilings, "measure the ceilings of this machine (operations a second by type, memory bandwidth)")
    one.add_argument("--threads", type=count, nargs="+", default=[1, 2], metavar="N", help="one measurement each (default: 1 2)")
    one.add_argument(
        "--sizes",
        type=count,
        nargs="+",
        default=[1024, 2048],
        metavar="N",
        help="rows of the square matrices (default: 1024 2048)",
    )
    one.add_argument(
        "--megabytes",
        type=count,
        default=1024,
        metavar="N",
        help="of the array that is read; must exceed the caches (default: %(default)s)",
    )
    one.add_argument(
        "--seconds", type=float, default=0.1, metavar="S", help="in a round, for each product and size (default: %(default)g)"
    )
    one.add_argument("--rounds", type=count, default=ROUNDS, metavar="N", help="of which the best counts (default: %(default)s)")
    two = command("work", work, "count operations and weight bytes of a caption for each case of stored runs (for rooflines)")
    two.add_argument("runs", nargs="+", metavar="RUN", help="name or path of a run")
    two.add_argument(
        "--model-path",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="weights of model NAME from a folder in save_pretrained layout",
    )
