"""`vlmgate promote`: a good run becomes the baseline of its environment, or another occasion of the one that is."""

import argparse
import sys
from pathlib import Path

from vlmgate.cli.common import PASSED, Command, baselines_of, open_suite, root_of
from vlmgate.record import add_occasion, find_run, load_baselines, promote, read_run
from vlmgate.report import write_reports
from vlmgate.running import Options, cache_folder
from vlmgate.running.stored import block_values, changes, contaminated_cases, rejudged
from vlmgate.running.topup import top_up
from vlmgate.spec import Run, VlmgateError


def promote_run(options: argparse.Namespace) -> int:
    """Make a good run, judged by suite.yaml as it is now, the baseline of its environment; or count it as another occasion."""
    path = find_run(options.results, options.run)
    stored = _topped_up(options, path) if options.top_up else read_run(path)
    if stored.other:
        raise VlmgateError(f"run {stored.name} was measured beside {stored.other.label}; promote a run without --against")
    written = _occasion(options, stored) if options.occasion else _promoted(options, stored)
    for path in written:
        print(path)
    return PASSED


def _topped_up(options: argparse.Namespace, path: Path) -> Run:
    """The run with the blocks that were missing, written down as a run of its own."""
    suite, root = open_suite(options), root_of(options)
    baselines = load_baselines(baselines_of(options), read_run(path).environment)
    settings = Options(root=root, cache=cache_folder())
    return read_run(top_up(path, suite, settings, options.results, options.cases, baselines, write_reports, _tell))


def _tell(line: str) -> None:
    print(f"vlmgate: {line}", file=sys.stderr, flush=True)


def _promoted(options: argparse.Namespace, stored: Run) -> list[Path]:
    root = baselines_of(options)
    baselines = load_baselines(root, stored.environment)
    run = rejudged(stored, open_suite(options), baselines)
    return promote(
        run,
        root,
        cases=options.cases,
        reason=options.reason,
        force=options.force,
        block_values=block_values(run),
        also_unfit=contaminated_cases(run, baselines),
    )


def _occasion(options: argparse.Namespace, run: Run) -> list[Path]:
    root = baselines_of(options)
    baselines = load_baselines(root, run.environment)
    unlike = contaminated_cases(run, baselines)
    for case, phrases in changes(run, baselines).items():
        unlike[case] = [*unlike.get(case, ()), *phrases]
    return add_occasion(run, root, cases=options.cases, block_values=block_values(run), also_unlike=unlike)


def add(command: Command) -> None:
    """The parser of this module's command."""
    one = command("promote", promote_run, "make a good run the baseline of its environment")
    one.add_argument("run", nargs="?", default="latest", metavar="RUN", help="name or path of a run (default: latest)")
    one.add_argument("--cases", nargs="+", metavar="PATTERN", help="only these case ids (shell patterns)")
    one.add_argument("--reason", default="", metavar="TEXT", help="why this run is the new baseline")
    one.add_argument(
        "--top-up",
        action="store_true",
        help="first measure the missing blocks, up to 24 a timed case, as --resume does (same environment, libraries and suite)",
    )
    how = one.add_mutually_exclusive_group()
    how.add_argument(
        "--force",
        action="store_true",
        help="take failed, waived, unresolved, contaminated or too briefly timed cases too; marked for ever",
    )
    how.add_argument(
        "--occasion",
        action="store_true",
        help="leave the baselines and only count this run, in which nothing was changed, for the spread between runs",
    )
