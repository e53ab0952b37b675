"""`vlmgate env`: what identifies this machine to the suite, which baselines apply, and how a stored environment differs."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tabulate import tabulate

from vlmgate.cli.common import FAILED, PASSED, Command, baselines_of, count, open_suite, root_of
from vlmgate.judge.since import SHORT
from vlmgate.record import differences, find_baseline, find_environment, fingerprint, load_baselines, nearest
from vlmgate.running import cache_folder, most_threads
from vlmgate.running.preparing import declared_dataset
from vlmgate.spec import COMPARED, Baseline, Environment, reference_change, setting_changes
from vlmgate.suite import Suite, Tier, reference_of

MOMENTARY = ("load_average", "commit", "dirty")  # stored with no environment


def environment(options: argparse.Namespace) -> int:
    """Print what identifies this machine to the suite, and which baselines apply; or how a stored environment differs."""
    here = fingerprint(options.threads or most_threads(open_suite(options)))
    if options.diff:
        return max(_diff(options.diff, baselines_of(options), here), _case_diff(options))
    print(tabulate([[key, value] for key, value in {"name": here.name, **here.key}.items()], tablefmt="plain"))
    found = load_baselines(baselines_of(options), here)
    print(f"\n{len(found)} baselines for this environment in {baselines_of(options)}")
    if options.tier:
        _say_stale(options, found)
    for name, unlike in nearest(baselines_of(options), here).items():
        print(f"{name} differs: {'; '.join(unlike)}")
    return PASSED


def _say_stale(options: argparse.Namespace, baselines: Mapping[str, Baseline]) -> None:
    """How many of the baselines do not apply to what the tier declares now, each with what differs."""
    suite = open_suite(options)
    tier = suite.tier(options.tier)
    promoted = [case for case in tier.cases if case.id in baselines]
    images = {name: _images(suite, tier, name, options) for name in {case.dataset for case in promoted}}
    stale: dict[str, list[str]] = {}
    for case in promoted:
        then, reference = baselines[case.id], reference_of(case, tier.cases)
        found = setting_changes(then.settings, case.settings, same_images=images[case.dataset] == then.dataset)
        found += reference_change(then.reference, "" if reference is None or reference is case else reference.id)
        stale |= {case.id: found} if found else {}
    print(f"{len(stale)} of them do not apply to tier {tier.name} as it is declared now")
    for name, unlike in stale.items():
        print(f"{name}: other {', '.join(unlike)}")


def _images(suite: Suite, tier: Tier, dataset: str, options: argparse.Namespace) -> str:
    return declared_dataset(suite, tier, dataset, root_of(options), cache_folder()).sha256


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


def _case_diff(options: argparse.Namespace) -> int:
    """Of a case's file also the settings and images, against what suite.yaml declares now; 0 where they are the same."""
    baseline = find_baseline(baselines_of(options), options.diff)
    if baseline is None:
        return PASSED
    suite = open_suite(options)
    declared = [(tier, case) for tier in suite.tiers.values() for case in tier.cases if case.id == baseline.case]
    if not declared:
        print(f"\n{baseline.case}: no tier of {suite.path} declares it now")
        return FAILED
    # that of the promoted run; a file from before the tier was kept is held against the tier that is nearest
    tier, case = min(
        declared, key=lambda it: (it[0].name != baseline.tier, len(setting_changes(baseline.settings, it[1].settings)))
    )
    images = _images(suite, tier, case.dataset, options)
    sides = [
        {**{name: getattr(settings, name) for name in COMPARED}, "image files": sha[:SHORT]}
        for settings, sha in ((baseline.settings, baseline.dataset), (case.settings, images))
    ]
    print(f"\n{baseline.case}\n\nMust match tier {tier.name} of {suite.path.name} for it to apply:\n{_table(*sides)}")
    if unlike := setting_changes(baseline.settings, case.settings, same_images=images == baseline.dataset):
        print(f"\nDoes not apply to this case now: {', '.join(unlike)}; promote a run with these settings")
        return FAILED
    print("\nApplies to this case.")
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
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={each}" for key, each in sorted(value.items())) or "–"
    return "–" if value is None or value == "" else str(value)


def _flat(info: Mapping[str, Any]) -> dict[str, Any]:
    """Library versions beside the other facts."""
    return {**{name: value for name, value in info.items() if name != "versions"}, **info.get("versions", {})}


def add(command: Command) -> None:
    """The parser of this module's command."""
    one = command("env", environment, "show what identifies this machine, and which baselines apply")
    one.add_argument("--threads", type=count, metavar="N", help="default: the most that a case of the suite uses")
    one.add_argument(
        "--tier", metavar="NAME", help="also say which of the baselines do not apply to this tier as it is declared now"
    )
    one.add_argument(
        "--diff",
        metavar="BASELINE",
        help="compare with a stored environment: a folder under baselines/, or a case's file there, whose settings and images "
        "are compared with suite.yaml too (status 1: it differs)",
    )
