"""What makes INT8 vary between processes? Blocks in fresh workers under settings of the process that take turns.

python docs/variance.py [--model blip-base] [--processes 12] [--settings default,malloc-huge] [--log FILE]

Ctrl-C stops it; the same command goes on where it stopped. --list says which settings this machine has.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from vlmgate.cli.common import count  # noqa: E402
from vlmgate.cli.studies import end, log_of, measured, study, tell, timed_as_asked  # noqa: E402
from vlmgate.record.files import atomic_write  # noqa: E402
from vlmgate.selftest.blocklog import open_log  # noqa: E402
from vlmgate.selftest.tables import render  # noqa: E402
from vlmgate.selftest.variance import KIND, Way, record, ways  # noqa: E402
from vlmgate.selftest.variance_table import variance_tables  # noqa: E402
from vlmgate.spec import VlmgateError  # noqa: E402
from vlmgate.spec.names import known  # noqa: E402


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = study(KIND, "Spread of times between processes under settings of the process that take turns.", ROOT)
    made.add_argument("--processes", type=count, default=12, metavar="N", help="blocks of each setting (default: %(default)s)")
    made.add_argument("--settings", metavar="A,B", help="only these (default: all that this machine has)")
    made.add_argument("--list", action="store_true", help="say which settings there are, and end")
    return made


def chosen(options: argparse.Namespace, threads: int) -> list[Way]:
    """The settings that were asked for; all that are there, where none was."""
    there = ways(threads)
    names = options.settings.split(",") if options.settings else [name for name, way in there.items() if not way.missing]
    found: list[Way] = [known(there, name, "setting") for name in names]
    if lacking := [way for way in found if way.missing]:
        raise VlmgateError(f"{lacking[0].name} cannot be had here: {lacking[0].missing}; leave it out of --settings")
    return found


def main() -> int:
    """Measure what is missing, and print the tables."""
    options = parser().parse_args()
    subject = timed_as_asked(options)
    log = log_of(options, KIND, ROOT)
    there = ways(subject.settings.threads)
    if options.list:
        for way in there.values():
            print(f"{way.name:12} {way.about}{f'; not here: {way.missing}' if way.missing else ''}")
        return 0
    status = measured(options, lambda: record(log, subject, chosen(options, subject.settings.threads), options.processes, tell))
    tables = variance_tables(open_log(log, KIND), list(there.values()))
    print(render(tables), end="")
    if options.markdown:
        atomic_write(options.markdown, render(tables, markdown=True))
    return status


if __name__ == "__main__":
    end(KIND, main)
