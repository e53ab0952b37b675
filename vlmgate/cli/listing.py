"""`vlmgate list`: models, variants, datasets and tiers."""

import argparse
from collections.abc import Mapping, Sequence
from itertools import groupby

from tabulate import tabulate

from vlmgate.cli.common import PASSED, Command, missing, open_suite
from vlmgate.datasets import DATASETS
from vlmgate.spec import Case
from vlmgate.suite import reference_of
from vlmgate.variants.artefact import BROKEN


def list_everything(options: argparse.Namespace) -> int:
    """Models, variants (with why one cannot run here), datasets and tiers."""
    suite = open_suite(options)
    why = missing(suite, list(suite.variants.values()))
    print("Models\n" + tabulate([[m.name, m.source.value, m.about] for m in suite.models.values()], tablefmt="plain"))
    rows = [[v.name, v.about, _how(why[v.name])] for v in suite.variants.values()]
    print("\nVariants\n" + tabulate(rows, tablefmt="plain"))
    names = dict(DATASETS) | {name: str(about) for name, about in suite.datasets.items()}
    print("\nDatasets\n" + tabulate(list(names.items()), tablefmt="plain"))
    for tier in suite.tiers.values():
        print(f"\nTier {tier.name}: {tier.about}")
        for head, cases in groupby(tier.cases, key=lambda case: f"{case.model.name} on {case.dataset}"):
            print(f"  {head}: " + ", ".join(_listed(case, tier.cases, why) for case in cases))
    return PASSED


def _how(why: str) -> str:
    if why.startswith(BROKEN):
        return f"fails here: {why.removeprefix(BROKEN)}"
    return f"skipped here: {why}" if why else "runs here"


def _listed(case: Case, cases: Sequence[Case], why: Mapping[str, str]) -> str:
    note = "reference" if reference_of(case, cases) is case else ""
    found = why[case.variant.name]
    state = (" (fails here)" if found.startswith(BROKEN) else " (skipped here)") if found else ""
    return f"{case.variant.name}{f' ({note})' if note else ''}{state}"


def add(command: Command) -> None:
    """The parser of this module's commands."""
    command("list", list_everything, "show models, variants, datasets and tiers, and what would be skipped here and why")
