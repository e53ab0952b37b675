"""`vlmgate list`: models, variants, datasets and tiers."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from tabulate import tabulate

from vlmgate.cli.common import PASSED, Command, missing, open_suite
from vlmgate.datasets import DATASETS
from vlmgate.models import MODELS
from vlmgate.spec import Case, Model, VlmgateError
from vlmgate.suite import reference_of
from vlmgate.variants import VARIANTS
from vlmgate.variants.artefact import BROKEN


def list_everything(options: argparse.Namespace) -> int:
    """Models, variants (with why one cannot run here), datasets and tiers.

    Of a suite file that cannot be read the built-in names all the same: the mistake in it may be one of them.
    """
    try:
        suite = open_suite(options)
    except VlmgateError:
        _names(MODELS.values(), [[v.name, v.about] for v in VARIANTS.values()], DATASETS)
        raise
    why = missing(suite, list(suite.variants.values()))
    names = dict(DATASETS) | {name: str(about) for name, about in suite.datasets.items()}
    _names(suite.models.values(), [[v.name, v.about, _how(why[v.name])] for v in suite.variants.values()], names)
    for tier in suite.tiers.values():
        print(f"\nTier {tier.name}: {tier.about}")
        for head, cases in groupby(tier.cases, key=lambda case: f"{case.model.name} on {case.dataset}"):
            print(f"  {head}: " + ", ".join(_listed(case, tier.cases, why) for case in cases))
    return PASSED


def _names(models: Iterable[Model], variants: Sequence[Sequence[str]], datasets: Mapping[str, str]) -> None:
    print("Models\n" + tabulate([[m.name, m.source.value, m.about] for m in models], tablefmt="plain"))
    print("\nVariants\n" + tabulate(variants, tablefmt="plain"))
    print("\nDatasets\n" + tabulate(list(datasets.items()), tablefmt="plain"))


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
