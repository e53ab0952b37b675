"""What the commands share: the suite and folders that the options name, worker answers as errors, exit statuses."""

import argparse
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vlmgate.datasets import DATASETS
from vlmgate.judge import exits
from vlmgate.measure import answer_of, run_job
from vlmgate.metrics import METRICS
from vlmgate.models import MODELS
from vlmgate.spec import Variant
from vlmgate.suite import Suite, load_suite
from vlmgate.variants import VARIANTS

Command = Callable[[str, Any, str], argparse.ArgumentParser]  # name, function of the options, words → its parser

# Exit statuses. 2 and 5 mean something else to pytest (interrupted, nothing collected), so they are left free.
PASSED, FAILED, UNRESOLVED, USAGE, CONTAMINATED = exits.PASSED, exits.FAILED, exits.UNRESOLVED, exits.USAGE, exits.CONTAMINATED
INTERRUPTED, UNREAD = 130, 141


def open_suite(options: argparse.Namespace) -> Suite:
    """The suite file that --suite names."""
    return load_suite(options.suite, MODELS, VARIANTS, DATASETS, METRICS)


def root_of(options: argparse.Namespace) -> Path:
    """The repository that holds the suite's folder."""
    root: Path = options.suite.resolve().parent.parent
    return root


def baselines_of(options: argparse.Namespace) -> Path:
    """The folder of promoted baselines."""
    return options.baselines or root_of(options) / "baselines"


def missing(suite: Suite, variants: list[Variant]) -> dict[str, str]:
    """Variant → why it cannot run here, or an empty string; asked of a worker."""
    job = {"threads": 1, "plugins": list(suite.plugins), "variants": [asdict(variant) for variant in variants]}
    return dict(answer_of(run_job("probe", job)).result)


def add_weights(parser: argparse.ArgumentParser, threads: str = "") -> None:
    """The options of a command that runs one model: whose weights, and with how many threads (default: 2, or what the words
    ``threads`` say, for which the option is None)."""
    parser.add_argument(
        "--model-source",
        choices=["hub", "local", "random"],
        help="weights of blip-base and blip-large: random (default), from the hub, or local with --model-path",
    )
    parser.add_argument("--model-path", metavar="DIR", help="weights of the model from a folder in save_pretrained layout")
    default = None if threads else 2
    parser.add_argument("--threads", type=count, default=default, metavar="N", help=f"compute threads (default: {threads or 2})")


def count(text: str) -> int:
    """A whole number above zero (an argparse type)."""
    with suppress(ValueError):
        if (value := int(text)) > 0:
            return value
    raise argparse.ArgumentTypeError(f"expected a whole number above zero, got '{text}'")
