"""The command line: one module a group of commands. Imports no torch; models run in workers."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from vlmgate.cli import (
    cache,
    captions,
    environments,
    exporting,
    listing,
    memory,
    promoting,
    proof,
    records,
    roofline,
    simulate,
    sizing,
)
from vlmgate.cli.common import INTERRUPTED, UNREAD, USAGE
from vlmgate.spec import VlmgateError

STATUSES = (
    "Exit status: 0 all well, 1 a gate failed, 3 a gate is unresolved and --strict was given, 4 wrong usage or a bad file, "
    "6 as 3 but because a placebo moved (contaminated)."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status.

    See STATUSES; 130 is Ctrl-C, and 141 means that nobody read to the end (a closed pipe).
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


class Parser(argparse.ArgumentParser):
    """Ends with the status that pytest has for a usage error too."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vlmgate",
        description="Gates for compressed vision-language models.",
        epilog=f"Runs are made by `pytest benchmarks/`. {STATUSES}",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    shared = Parser(add_help=False)
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

    for module in (
        listing,
        captions,
        exporting,
        memory,
        records,
        promoting,
        environments,
        proof,
        cache,
        simulate,
        sizing,
        roofline,
    ):
        module.add(command)
    return parser
