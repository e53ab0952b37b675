"""`vlmgate size`: what every variant of a model should weigh, from its configuration alone."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tabulate import tabulate

from vlmgate.cli.common import PASSED, Command, open_suite, root_of
from vlmgate.measure import answer_of, run_job
from vlmgate.models.published import PUBLISHED
from vlmgate.models.source import with_source
from vlmgate.spec import Model, Source, VlmgateError
from vlmgate.spec.names import known

REFERENCE = "fp32"


def size(options: argparse.Namespace) -> int:
    """Print bytes of all tensors by closed form, variant by variant, beside those of the unmodified model."""
    suite = open_suite(options)
    if bool(options.model) is bool(options.config):
        raise VlmgateError("name a model of the suite, or a folder with a config.json (--config DIR), and not both")
    names = [REFERENCE, *(options.variants or (name for name in suite.variants if name != REFERENCE))]
    variants = [known(suite.variants, name, "variant") for name in dict.fromkeys(names)]
    plain: dict[str, Any] = {"family": "", "parts": {}, "location": "", "folder": ""}
    if options.config:
        place = plain | {"folder": str(options.config)}
    elif options.model in PUBLISHED.keys() - suite.models.keys():
        place = plain | {"config": PUBLISHED[options.model]}
    else:
        place = where(with_source(known(suite.models, options.model, "model"), None, options.model_path), root_of(options))
    job = place | {"threads": 1, "plugins": list(suite.plugins), "variants": [asdict(variant) for variant in variants]}
    found = answer_of(run_job("size", job)).result
    whole = found["variants"][REFERENCE][0]
    rows = [_row(variant.name, found["variants"][variant.name], whole) for variant in variants]
    named = f"{options.model or options.config}: {found['parameters']:,} parameters"
    print(f"{named}; parts: {_words(found['parts'])}\n")
    print(tabulate(rows, headers=["variant", "tensors [MB]", f"÷ {REFERENCE}", ""], disable_numparse=True))
    return PASSED


def where(model: Model, root: Path) -> dict[str, Any]:
    """Where a model's configuration is, without fetching its weights."""
    shared: dict[str, Any] = {"family": model.family, "parts": model.parts}
    match model.source:
        case Source.RANDOM:
            return shared | {"location": model.location, "folder": ""}
        case Source.FIXTURE:
            return shared | {"location": "", "folder": str(root / "fixtures" / "models" / model.location)}
        case Source.LOCAL:
            return shared | {"location": "", "folder": model.location}
    raise VlmgateError(f"{model.name} comes from the hub; fetch its config.json and name its folder with --model-path")


def _row(name: str, found: list[Any], whole: float) -> list[str]:
    expected, why = found
    return [name, "—", "—", why] if expected is None else [name, f"{expected / 1e6:,.2f}", f"{expected / whole:.4f}", ""]


def _words(parts: dict[str, list[str]]) -> str:
    return "; ".join(f"{part} {', '.join(names)}" for part, names in parts.items()) or "none found"


def add(command: Command) -> None:
    """The parser of this module's command."""
    one = command("size", size, "what each variant of a model should weigh, from its configuration alone, without its weights")
    one.add_argument("model", nargs="?", metavar="MODEL", help=f"a model of `vlmgate list`, or {', '.join(PUBLISHED)}")
    one.add_argument("--config", type=Path, metavar="DIR", help="a folder with a config.json of transformers, in place of MODEL")
    one.add_argument("--model-path", metavar="DIR", help="checkpoint folder in save_pretrained layout, for MODEL")
    one.add_argument("--variants", nargs="+", metavar="NAME", help="beside fp32 (default: all)")
