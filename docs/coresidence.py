"""Does sharing a worker with other variants move a speed-up? Blocks alone and together take turns; see docs/variance.md.

python docs/coresidence.py [--model blip-base] [--variants int8-dynamic,pruned] [--beside A,B] [--pairs 12] [--log FILE]

Ctrl-C stops it; the same command goes on where it stopped.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from vlmgate.cli.common import count, open_suite  # noqa: E402
from vlmgate.cli.studies import end, log_of, measured, study, tell, timed_as_asked  # noqa: E402
from vlmgate.record.files import atomic_write  # noqa: E402
from vlmgate.running.group import MOST  # noqa: E402
from vlmgate.selftest.blocklog import open_log  # noqa: E402
from vlmgate.selftest.coresidence import KIND, neighbours, record, unplanned  # noqa: E402
from vlmgate.selftest.coresidence_table import coresidence_table  # noqa: E402
from vlmgate.selftest.tables import render  # noqa: E402
from vlmgate.spec.names import known  # noqa: E402

VARIANTS = "int8-dynamic,pruned"
BESIDE = "int8-dynamic,int8-dynamic-embed,pruned,pruned-int8,int8-dynamic-tied,int8-dynamic-text"


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = study(KIND, "What sharing a worker with other variants does to a speed-up.", ROOT)
    made.add_argument("--variants", default=VARIANTS, metavar="A,B", help="those that are looked at (default: %(default)s)")
    made.add_argument("--beside", default=BESIDE, metavar="A,B", help="who shares their workers (default: %(default)s)")
    most = "at most so many of these beside a variant (default: %(default)s, with which a run's planner calls a worker full)"
    made.add_argument("--most", type=count, default=MOST - 1, metavar="N", help=most)
    made.add_argument("--pairs", type=count, default=12, metavar="N", help="of blocks, a variant (default: %(default)s)")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Measure what is missing, and print the table."""
    options = parser().parse_args(arguments)
    log, there = log_of(options, KIND, ROOT), open_suite(options).variants
    crowds = {name: neighbours(name, options.beside.split(","), options.most) for name in options.variants.split(",")}
    for name in (*crowds, *options.beside.split(",")):
        known(there, name, "variant")
    subject = timed_as_asked(options)
    status = measured(options, lambda: record(log, subject, there, crowds, options.pairs, tell))
    table = coresidence_table(open_log(log, KIND), list(crowds))
    notes = [*table.notes, *unplanned(there, crowds, subject.settings.threads)]
    shown = render([replace(table, notes=notes)], markdown=True)
    print(shown, end="")
    if options.markdown:
        atomic_write(options.markdown, shown)
    return status


if __name__ == "__main__":
    end(KIND, main)
