"""`vlmgate env`: what identifies this machine to the suite, which baselines apply, and how a stored environment differs."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tabulate import tabulate

from vlmgate.cli.common import FAILED, PASSED, Command, baselines_of, count, open_suite
from vlmgate.record import differences, find_environment, fingerprint, load_baselines, nearest
from vlmgate.running import most_threads
from vlmgate.spec import Environment

MOMENTARY = ("load_average", "commit", "dirty")  # stored with no environment


def environment(options: argparse.Namespace) -> int:
    """Print what identifies this machine to the suite, and which baselines apply; or how a stored environment differs."""
    here = fingerprint(options.threads or most_threads(open_suite(options)))
    if options.diff:
        return _diff(options.diff, baselines_of(options), here)
    print(tabulate([[key, value] for key, value in {"name": here.name, **here.key}.items()], tablefmt="plain"))
    found = load_baselines(baselines_of(options), here)
    print(f"\n{len(found)} baselines for this environment in {baselines_of(options)}")
    for name, unlike in nearest(baselines_of(options), here).items():
        print(f"{name} differs: {'; '.join(unlike)}")
    return PASSED


def _diff(which: str, root: Path, here: Environment) -> int:
    """What must match and what may have changed; 0 where baselines of the stored environment apply here, else 1."""
    stored = find_environment(root, which)
    unlike = differences(stored.key, here.key)
    print(f"{stored.name}\n\nMust match for its baselines to apply here:")
    print(_table(stored.key, here.key))
    info = {name: value for name, value in here.info.items() if name not in MOMENTARY}
    if changed := _differing(_flat(stored.info), _flat(info)):
        print(f"\nMay have changed (printed with verdicts, never a reason not to judge):\n{_rows(changed)}")
    if unlike:
        print(f"\nDoes not apply here: {len(unlike)} of {len(here.key)} differ; promote a run of this machine, or use --against")
        return FAILED
    print("\nApplies here.")
    return PASSED


def _table(stored: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    names = [*here, *(name for name in stored if name not in here)]
    rows = [[name, _shown(stored, name), _shown(here, name)] for name in names]
    return _rows([[*row, "" if row[1] == row[2] else "differs"] for row in rows])


def _rows(rows: list[list[str]]) -> str:
    return str(tabulate(rows, headers=["", "stored", "here", ""][: len(rows[0])], tablefmt="plain", disable_numparse=True))


def _differing(stored: Mapping[str, Any], here: Mapping[str, Any]) -> list[list[str]]:
    names = [*here, *(name for name in stored if name not in here)]
    return [[name, _shown(stored, name), _shown(here, name)] for name in names if _shown(stored, name) != _shown(here, name)]


def _shown(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "–"
    return "–" if value is None or value == "" else str(value)


def _flat(info: Mapping[str, Any]) -> dict[str, Any]:
    """Library versions beside the other facts."""
    return {**{name: value for name, value in info.items() if name != "versions"}, **info.get("versions", {})}


def add(command: Command) -> None:
    """The parser of this module's command."""
    one = command("env", environment, "show what identifies this machine, and which baselines apply")
    one.add_argument("--threads", type=count, metavar="N", help="default: the most that a case of the suite uses")
    one.add_argument(
        "--diff",
        metavar="BASELINE",
        help="compare with a stored environment: a folder under baselines/ or a case's file there (status 1: it differs)",
    )
