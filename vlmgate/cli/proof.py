"""Commands that prove the suite: bank (records real blocks), noise (what they say) and selftest (does the gate work?)."""

import argparse
import json
import sys
from pathlib import Path

from vlmgate.cli.common import FAILED, PASSED, Command, count, open_suite, root_of
from vlmgate.record.files import atomic_write
from vlmgate.running import Options, cache_folder
from vlmgate.selftest import Bank, read_bank, record_blocks
from vlmgate.selftest.drawing import noisy_lines, prove, violations
from vlmgate.selftest.naive import time_sequentially
from vlmgate.selftest.noise import naive_table, noise_tables
from vlmgate.selftest.quick import WITHIN, checks_table, outcomes_of, read_log, repeated_table, run_checks
from vlmgate.selftest.recording import Subject
from vlmgate.selftest.tables import Table, render
from vlmgate.spec import Question, VlmgateError
from vlmgate.spec.names import known

BLOCKS = 150
RUNS = 500
BANK = Path("fixtures/bank/scene-blip.jsonl.gz")


def bank(options: argparse.Namespace) -> int:
    """Measure blocks of reference, INT8, copies and slowed ones until the bank holds enough; goes on where it stopped."""
    until = 0 if options.more else options.blocks
    made = record_blocks(options.out, subject_of(options), until=until, more=options.more or 0, progress=_tell)
    seconds = sum(entry.seconds for entry in made.entries)
    print(f"{options.out}: {len(made.entries)} blocks, {seconds / max(len(made.entries), 1):.1f} s each")
    return PASSED


def noise(options: argparse.Namespace) -> int:
    """Print spread and shape of the bank's block values beside medians of its processes; with --naive, time sequentially now."""
    if options.naive:
        medians = time_sequentially(subject_of(options), options.naive, _tell)
        return _show([naive_table(medians, "Sequential timing, one arm a process, each process against the one before")], options)
    return _show(noise_tables(_enough(read_bank(options.bank), 4, options.bank)), options)


def selftest(options: argparse.Namespace) -> int:
    """The short live proof, or the long one by runs drawn from the bank; status 1 where the gate does not do as it must."""
    return _live(options) if options.quick else _drawn(options)


def _drawn(options: argparse.Namespace) -> int:
    """Runs drawn from the bank; wrong where identical code fails more often than promised."""
    suite, drawn = open_suite(options), read_bank(options.bank)
    lines = options.lines or noisy_lines(suite, suite.tier("default"))
    rows, tables = prove(drawn, options.runs, lines, _tell)
    _show(tables, options)
    wrong = violations(rows)
    for line in wrong:
        print(f"vlmgate: too many false alarms: {line}", file=sys.stderr)
    return FAILED if wrong else PASSED


def _live(options: argparse.Namespace) -> int:
    """Every check once; --repeat times speed again and again, the other answers would be the same."""
    model = known(open_suite(options).models, options.model, "model")
    settings = Options(root_of(options), cache_folder(), within=WITHIN)
    had = read_log(options.log) if options.log else []
    runs, right = list(had), True
    while len(runs) < (options.repeat or len(had) + 1):
        seen = run_checks(model, settings, (Question.LATENCY,) if runs else tuple(Question), _tell)
        runs.append(outcomes_of(seen))
        right = right and all(one.right for one in seen)
        if options.log:
            with options.log.open("a", encoding="utf-8") as log:
                log.write(json.dumps(runs[-1]) + "\n")
        print(render([checks_table(seen)]), flush=True)
    if len(runs) > 1:
        _show([repeated_table(runs)], options)
    return PASSED if right else FAILED


def _enough(bank: Bank, least: int, path: Path) -> Bank:
    if len(bank.entries) < least:
        raise VlmgateError(f"{path} holds {len(bank.entries)} blocks; this needs at least {least}: go on with `vlmgate bank`")
    return bank


def _show(tables: list[Table], options: argparse.Namespace) -> int:
    print(render(tables), end="")
    if options.markdown:
        print(f"\n{atomic_write(options.markdown, render(tables, markdown=True))}")
    return PASSED


def _tell(line: str) -> None:
    print(f"vlmgate: {line}", file=sys.stderr, flush=True)


def subject_of(options: argparse.Namespace) -> Subject:
    """The model with the settings that the tier gives its case on the dataset."""
    suite = open_suite(options)
    model = known(suite.models, options.model, "model")
    cases = suite.tier(options.tier).cases
    found = [case.settings for case in cases if case.model.name == model.name and case.dataset == options.dataset]
    if not found:
        raise VlmgateError(f"tier {options.tier} has no case {model.name}/*/{options.dataset}; name one that it has")
    return Subject(model, options.dataset, found[0], root_of(options), cache_folder(), suite.plugins)


def add(command: Command) -> None:
    """The parsers of this module's commands."""
    one = command("bank", bank, "record a bank of real blocks for `selftest --bank` and `noise`; stopped, it goes on")
    amount = one.add_mutually_exclusive_group()
    amount.add_argument("--blocks", type=count, default=BLOCKS, metavar="N", help="until it holds so many (default: %(default)s)")
    amount.add_argument("--more", type=count, metavar="N", help="so many more, then end")
    one.add_argument("--out", type=Path, default=BANK, metavar="FILE", help="the bank (default: %(default)s)")
    add_subject(one)
    two = command("noise", noise, "how noisy this method is, beside medians of one process after the other")
    two.add_argument("--naive", type=count, metavar="N", help="time sequentially now, in N processes an arm, instead")
    add_subject(two)
    _out(two)
    three = command("selftest", selftest, "prove that the gate finds changes made on purpose, and no others")
    three.add_argument(
        "--quick",
        action="store_true",
        help="the short proof, live (for CI), in 5 minutes at most, instead of drawing from the bank",
    )
    three.add_argument("--repeat", type=count, metavar="N", help="with --quick: until there are N live runs")
    three.add_argument("--log", type=Path, metavar="FILE", help="with --quick: keep outcomes there, and go on from them")
    three.add_argument("--model", default="scene-blip", metavar="NAME", help="with --quick (default: %(default)s)")
    three.add_argument("--runs", type=count, default=RUNS, metavar="N", help="drawn for each row (default: %(default)s)")
    three.add_argument("--lines", type=count, metavar="N", help="noisy lines in a run (default: those of the default tier)")
    _out(three)


def add_subject(parser: argparse.ArgumentParser) -> None:
    """The options that say what `subject_of` is to find."""
    parser.add_argument("--model", default="scene-blip", metavar="NAME", help="default: %(default)s")
    parser.add_argument("--dataset", default="scenes", metavar="NAME", help="default: %(default)s")
    parser.add_argument("--tier", default="default", metavar="NAME", help="whose settings are taken (default: %(default)s)")


def _out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bank", type=Path, nargs="?", const=BANK, default=BANK, metavar="FILE", help="the blocks (default: %(default)s)"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there too, as Markdown")
