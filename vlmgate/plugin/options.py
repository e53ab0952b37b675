"""The options that the plugin adds to pytest."""

from argparse import ArgumentTypeError
from contextlib import suppress
from typing import Any

import pytest

from vlmgate.plugin.state import DEFAULT_SUITE


def add_options(parser: pytest.Parser) -> None:
    """All of them, in a group of their own in `pytest --help`."""
    group = parser.getgroup("vlmgate", "vlmgate: gates for compressed vision-language models")
    add = group.addoption
    add("--tier", dest="vlmgate_tier", default="default", metavar="NAME", help="tier of suite.yaml to run (default: %(default)s)")
    add("--suite", dest="vlmgate_suite", metavar="FILE", help=f"suite file (default: {DEFAULT_SUITE} below pytest's rootdir)")
    add(
        "--model-source",
        dest="vlmgate_model_source",
        choices=["hub", "local", "random"],
        help="weights of blip-base and blip-large: random (default), from the hub, or local with --model-path",
    )
    add(
        "--model-path",
        dest="vlmgate_model_path",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="weights of model NAME from a folder in save_pretrained layout",
    )
    add(
        "--blocks",
        dest="vlmgate_blocks",
        type=_positive(int),
        metavar="N",
        help="exactly N blocks (fresh workers) a model, instead of 6, 12, 24 until decided; a fail is confirmed by 6 more",
    )
    add("--rounds", dest="vlmgate_rounds", type=_positive(int), metavar="N", help="rounds in a block, instead of the tier's")
    add(
        "--time-budget",
        dest="vlmgate_time_budget",
        type=_positive(float),
        metavar="SECONDS",
        help="time for the blocks of all models together; the report says what was cut",
    )
    add(
        "--patience",
        dest="vlmgate_patience",
        type=_positive(float),
        default=300.0,
        metavar="SECONDS",
        help="a worker that is silent for so long counts as hung, and its case fails; "
        "four times as long where it builds an artefact or compiles (default: %(default)g)",
    )
    add(
        "--memory-limit",
        dest="vlmgate_memory_limit",
        type=_positive(int),
        metavar="BYTES",
        help="private memory that a worker may use; an arm that needs more fails by name, instead of by the kernel",
    )
    add(
        "--resume",
        dest="vlmgate_resume",
        metavar="RUN",
        help="go on from a run that was stopped (name, path or latest); environment, suite, images, settings must be the same",
    )
    add(
        "--against",
        dest="vlmgate_against",
        metavar="REV|ENV",
        help="measure a commit, or another Python or virtual environment, in the same blocks, and judge against it "
        "instead of promoted baselines",
    )
    add(
        "--against-python",
        dest="vlmgate_against_python",
        metavar="ENV",
        help="with --against REV: the Python or virtual environment with that commit's libraries (default: this side's)",
    )
    add("--gate-strict", dest="vlmgate_strict", action="store_true", help="an unresolved gate fails too (for releases)")
    add("--results", dest="vlmgate_results", metavar="DIR", help="where runs are written (default: results/ beside benchmarks/)")
    add("--baselines", dest="vlmgate_baselines", metavar="DIR", help="promoted runs (default: baselines/ beside benchmarks/)")


def _positive(kind: type) -> Any:
    def number(text: str) -> Any:
        with suppress(ValueError):
            if (value := kind(text)) > 0:
                return value
        raise ArgumentTypeError(f"expected a {'whole ' if kind is int else ''}number above zero, got '{text}'")

    return number
