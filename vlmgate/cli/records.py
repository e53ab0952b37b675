"""Commands on stored runs, which need no torch: judge, report, compare, results."""

import argparse
import sys
from pathlib import Path

from vlmgate.cli.common import PASSED, Command, baselines_of, open_suite
from vlmgate.judge import exit_status
from vlmgate.record import atomic_write, find_run, load_baselines, read_run
from vlmgate.record.roofline import read_ceilings, read_work
from vlmgate.report import results as page
from vlmgate.report import terminal, write_reports
from vlmgate.report.compare import compare_runs
from vlmgate.running.stored import rejudged


def judge(options: argparse.Namespace) -> int:
    """Judge a stored run again, with any suite file and baselines; needs no torch."""
    suite = open_suite(options)
    path = find_run(options.results, options.run)
    stored = read_run(path)
    run = rejudged(stored, suite, load_baselines(baselines_of(options), stored.environment))
    print(terminal.render(run, colour=sys.stdout.isatty(), record=path.parent))
    return exit_status(run.verdicts, strict=options.strict)


def report(options: argparse.Namespace) -> int:
    """Write comparison.md and comparison.csv of a stored run again."""
    path = find_run(options.results, options.run)
    for written in write_reports(read_run(path), path.parent):
        print(written)
    return PASSED


def compare(options: argparse.Namespace) -> int:
    """Two stored runs, case by case: speed, size, memory, scores and captions of the second against the first."""
    then, now = (read_run(find_run(options.results, which)) for which in (options.first, options.second))
    print(compare_runs(then, now, load_baselines(baselines_of(options), now.environment)))
    return PASSED


def results(options: argparse.Namespace) -> int:
    """One Markdown page of every variant of some stored runs, judged by suite.yaml as it is now; of baselines it says nothing."""
    suite, paths = open_suite(options), [find_run(options.results, which) for which in options.runs]
    stored, work = [read_run(path) for path in paths], [read_work(path.parent) for path in paths]
    runs = [rejudged(run, suite, {}) for run in stored]
    print(atomic_write(options.out, page.render(runs, work, read_ceilings(options.results), str(options.results))))
    return PASSED


def add(command: Command) -> None:
    """The parsers of this module's commands."""
    two = command("judge", judge, "judge a stored run again (no torch needed)")
    two.add_argument("run", nargs="?", default="latest", metavar="RUN", help="name or path of a run (default: latest)")
    two.add_argument(
        "--strict", action="store_true", help="exit with 3 when a gate is unresolved, with 6 when a placebo moved (contaminated)"
    )
    three = command("report", report, "write the comparison tables of a stored run again")
    three.add_argument("run", nargs="?", default="latest", metavar="RUN", help="name or path of a run (default: latest)")
    four = command("compare", compare, "compare two stored runs case by case")
    four.add_argument("first", metavar="A", help="name or path of the earlier run")
    four.add_argument("second", nargs="?", default="latest", metavar="B", help="name or path of the later run (default: latest)")
    five = command("results", results, "write one page with every variant of stored runs, slower ones too (no torch needed)")
    five.add_argument(
        "runs", nargs="+", metavar="RUN", help="name or path of a run; a figure that several hold is the last one's"
    )
    five.add_argument("--out", type=Path, default=Path("docs/results.md"), metavar="FILE", help="default: %(default)s")
