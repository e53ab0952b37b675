"""What the studies of docs/ that keep a log of blocks share: options, the model as it is to be timed, and where the log is."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from vlmgate.cli.common import PASSED, count
from vlmgate.cli.proof import add_subject, subject_of
from vlmgate.selftest.recording import Subject
from vlmgate.spec import VlmgateError


def study(kind: str, description: str, root: Path) -> argparse.ArgumentParser:
    """The options that all studies have; ``root`` is the repository."""
    made = argparse.ArgumentParser(description=description)
    add_subject(made)
    made.add_argument(
        "--suite", type=Path, default=root / "benchmarks" / "suite.yaml", metavar="FILE", help="default: that of the repository"
    )
    made.add_argument("--rounds", type=count, metavar="N", help="rounds of a block (default: the tier's)")
    made.add_argument("--images", type=count, metavar="N", help="images timed in each round (default: the tier's)")
    made.add_argument("--log", type=Path, metavar="FILE", help=f"JSON lines, gone on with (default: results/{kind}-MODEL.jsonl)")
    made.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there too")
    made.add_argument("--table", action="store_true", help="print the tables of the log, and measure nothing")
    return made


def timed_as_asked(options: argparse.Namespace) -> Subject:
    """The model with the settings that the tier gives its case, but for the rounds and images that were asked for."""
    subject = subject_of(options)
    rounds, images = options.rounds or subject.settings.rounds, options.images or subject.settings.timed_images
    return replace(subject, settings=replace(subject.settings, rounds=rounds, timed_images=images, batches=()))


def log_of(options: argparse.Namespace, kind: str, root: Path) -> Path:
    """The log that was named, or that of the model."""
    log: Path = options.log or root / "results" / f"{kind}-{options.model}.jsonl"
    return log


def measured(options: argparse.Namespace, record: Callable[[], object]) -> int:
    """Let ``record`` measure what is missing, unless only tables are asked for; the exit status, 130 where Ctrl-C stopped it."""
    try:
        if not options.table:
            record()
    except KeyboardInterrupt:
        tell("stopped; the same command goes on")
        return 130
    return PASSED


def end(name: str, main: Callable[[], int]) -> NoReturn:
    """Run a command of docs/ as a process: what is wrong with its input is one sentence."""
    try:
        sys.exit(main())
    except VlmgateError as error:
        sys.exit(f"{name}: {error}")


def tell(line: str) -> None:
    """Progress, beside the tables."""
    print(line, file=sys.stderr, flush=True)
