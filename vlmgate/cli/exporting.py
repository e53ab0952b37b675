"""`vlmgate export`: the artefact of one variant of a model as a folder to ship, with a card."""

import argparse
from pathlib import Path

from vlmgate.cli.common import PASSED, Command, add_weights, open_suite, root_of
from vlmgate.models.source import with_source
from vlmgate.record import find_run, fingerprint, read_run
from vlmgate.report import card
from vlmgate.running.exporting import copy_out, prepare_one, read_json
from vlmgate.spec.names import known
from vlmgate.variants.artefact import CARD


def export(options: argparse.Namespace) -> int:
    """Prepare the variant, copy its artefact to the folder and say what it weighs."""
    suite = open_suite(options)
    model, variant = known(suite.models, options.model, "model"), known(suite.variants, options.variant, "variant")
    model = with_source(model, options.model_source, options.model_path)
    run = read_run(find_run(options.results, options.run)) if options.run else None
    folder = prepare_one(model, variant, root_of(options), suite.plugins, options.threads)
    about = read_json(folder / CARD)
    readme = card.render(about, fingerprint(options.threads, root_of(options)), run)
    target = copy_out(folder, options.folder, readme, force=options.force)
    print(f"{target}: {model.name}/{variant.name}, {about['exact']['size'] / 1e6:.1f} MB; its card is README.md")
    return PASSED


def add(command: Command) -> None:
    """The parser of this module's command."""
    one = command("export", export, "write the artefact of one variant of a model to a folder, with a card of what it is")
    one.add_argument("model", metavar="MODEL", help="a model of `vlmgate list`")
    one.add_argument("variant", metavar="VARIANT", help="a variant of `vlmgate list`")
    one.add_argument("folder", type=Path, metavar="DIR", help="a new folder, or an artefact, which is replaced")
    one.add_argument("--run", metavar="RUN", help="put what this run measured of it on the card (name, path or latest)")
    one.add_argument("--force", action="store_true", help="replace DIR whatever it holds")
    add_weights(one)
