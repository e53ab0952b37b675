"""The command simulate: what the statistics promise, on simulated blocks of known truth."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vlmgate.cli.common import FAILED, PASSED, Command, count, open_suite
from vlmgate.record.files import atomic_write
from vlmgate.selftest import read_bank
from vlmgate.selftest.drawing import noisy_lines
from vlmgate.selftest.simulated import bank_shapes
from vlmgate.selftest.simulated_tables import DRAWS, IMAGES, resampling_seconds, tables
from vlmgate.selftest.tables import render
from vlmgate.spec import VlmgateError

BANK = Path("fixtures/bank/scene-blip.jsonl.gz")
HEADING = "## Simulated"
FULL_RUNS = 40_000
MOST_SECONDS = 2.0  # of either way to resample captions


def simulate(options: argparse.Namespace) -> int:
    """Print coverage, errors, false verdicts of the whole rule and power, with their Monte-Carlo error."""
    if options.speed:
        return _speed()
    suite = open_suite(options)
    lines = options.lines or noisy_lines(suite, suite.tier("default"))
    bank = bank_shapes(read_bank(options.bank)) if options.bank.exists() else {}
    made = tables(options.runs / FULL_RUNS, bank, lines, lambda name: print(f"vlmgate: {name}", file=sys.stderr, flush=True))
    print(render(made), end="")
    if options.markdown:
        body = (
            f"`vlmgate simulate --runs {options.runs}` prints these tables; the seeds are fixed.\n\n{render(made, markdown=True)}"
        )
        print(f"\n{write_section(options.markdown, HEADING, body)}")
    return PASSED


def _speed() -> int:
    """Time the resampling of captions; status 1 where it is slower than promised."""
    with _one_core():
        taken = resampling_seconds()
    for name, seconds in taken.items():
        print(f"paired {name}, {DRAWS:,} draws over {IMAGES:,} images, one core: {seconds:.2f} s (at most {MOST_SECONDS:g})")
    return FAILED if max(taken.values()) > MOST_SECONDS else PASSED


def write_section(path: Path, heading: str, body: str) -> Path:
    """Put ``body`` under ``heading`` (``## …``) of a Markdown file, in place of what stood there; at its end if it is new."""
    if path.is_dir():
        raise VlmgateError(f"{path} is a folder; --markdown takes a file, such as docs/validation.md")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    start = lines.index(heading) if heading in lines else len(lines)
    end = next((i for i in range(start + 1, len(lines)) if lines[i].startswith("## ")), len(lines))
    before, after = "\n".join(lines[:start]).rstrip(), "\n".join(lines[end:])
    parts = [before, f"{heading}\n\n{body.strip()}", after]
    return atomic_write(path, "\n\n".join(part for part in parts if part) + "\n")


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep this process, with the threads of its libraries, on one core where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    _keep_to({min(allowed)})
    try:
        yield
    finally:
        _keep_to(allowed)


def _keep_to(cores: set[int]) -> None:
    """Threads that linear algebra started earlier do not follow the process, so each is told."""
    tasks = Path("/proc/self/task")
    for task in [int(path.name) for path in tasks.iterdir()] if tasks.exists() else [0]:
        with suppress(ProcessLookupError):
            os.sched_setaffinity(task, cores)


def add(command: Command) -> None:
    """The parser of this module's command."""
    one = command("simulate", simulate, "prove the statistics on simulated blocks: coverage, errors, false verdicts, power")
    one.add_argument("--runs", type=count, default=FULL_RUNS, metavar="N", help="simulated runs a shape (default: %(default)s)")
    one.add_argument("--lines", type=count, metavar="N", help="noisy lines in a run (default: those of the default tier)")
    one.add_argument(
        "--bank", type=Path, default=BANK, metavar="FILE", help="real blocks to resample, if there (default: %(default)s)"
    )
    one.add_argument("--markdown", type=Path, metavar="FILE", help='write the tables under "Simulated" of this Markdown file')
    one.add_argument(
        "--speed", action="store_true", help="time bootstrap and permutation over images on one core instead; status 1 above 2 s"
    )
