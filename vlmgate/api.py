"""For Python programs: prepare an artefact, load one, and make a whole run without pytest.

import vlmgate

model = vlmgate.prepare("scene-blip", "int8-dynamic")
model.caption(["photo.jpg"])
model.save("shipped")
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from vlmgate.datasets import DATASETS
from vlmgate.metrics import METRICS
from vlmgate.models import MODELS
from vlmgate.models.source import with_source
from vlmgate.record import find_run, fingerprint, load_baselines, read_run
from vlmgate.report import card, write_reports
from vlmgate.running import Options, Session, cache_folder
from vlmgate.running.exporting import copy_out, prepare_one, read_json
from vlmgate.spec import Question, Run, VlmgateError
from vlmgate.spec.names import LIST, known, suggested
from vlmgate.suite import Suite, load_suite
from vlmgate.variants import VARIANTS
from vlmgate.variants.artefact import CARD, named
from vlmgate.variants.torchao_log import without_torchaos_notices

DEFAULT_SUITE = Path("benchmarks") / "suite.yaml"


@dataclass(frozen=True)
class Artefact:
    """A loaded artefact. ``exact`` are its exact figures, such as size (bytes) and parameters."""

    folder: Path
    captioner: Any
    threads: int = 2

    @property
    def exact(self) -> Mapping[str, float]:
        return dict(read_json(self.folder / CARD)["exact"])

    def caption(self, images: Sequence[Any], max_tokens: int = 24) -> list[str]:
        """One caption an image (a path or a PIL image), decoded together as one batch."""
        from vlmgate.datasets.images import open_image

        opened = [open_image(Path(image)) if isinstance(image, str | Path) else image.convert("RGB") for image in images]
        return list(self.captioner.caption(opened, max_tokens))

    def save(self, folder: str | Path, *, run: Run | None = None, force: bool = False) -> Path:
        """Copy the artefact to ``folder`` with a card, README.md; measured figures in it are those of ``run``."""
        environment = fingerprint(self.threads)
        return copy_out(self.folder, Path(folder), card.render(read_json(self.folder / CARD), environment, run), force=force)


def prepare(
    model: str,
    variant: str,
    *,
    suite: str | Path | None = None,
    model_source: str | None = None,
    model_path: str | Path | None = None,
    threads: int = 2,
) -> Artefact:
    """The variant of the model, made by a worker where the cache does not have it, and loaded into this process.

    Names are those of ``suite`` (default: benchmarks/suite.yaml below the current folder, where there is one).
    """
    path, opened = _suite_or_registries(suite)
    models, variants = (opened.models, opened.variants) if opened else (MODELS, VARIANTS)
    found = known(models, model, "model")
    chosen = known(variants, variant, "variant")
    plugins = opened.plugins if opened else ()
    source = with_source(found, model_source, str(model_path) if model_path else None)
    return load(prepare_one(source, chosen, path.resolve().parent.parent, plugins, threads), plugins=plugins, threads=threads)


def load(folder: str | Path, *, plugins: Sequence[str] = (), threads: int = 2) -> Artefact:
    """What `vlmgate export` or `Artefact.save` wrote; ``plugins`` are the files or modules that its recipe needs, if any.

    Raises:
        VlmgateError: it is no artefact or a damaged one, or this machine lacks what it needs.
    """
    with without_torchaos_notices():
        from vlmgate.artefacts import cannot_run, load_artefact
        from vlmgate.worker.common import register

        register({"plugins": list(plugins)})
        folder = Path(folder)
        try:
            return Artefact(folder, load_artefact(folder), threads)
        except VlmgateError:
            raise
        except Exception as error:  # whatever a missing library or device makes of it; what only runs slowly here is loaded
            if why := cannot_run(named(folder.name, folder, str(folder))):
                raise VlmgateError(f"{folder} cannot be loaded here: {why}") from error
            raise


def run(
    tier: str = "default",
    *,
    suite: str | Path = DEFAULT_SUITE,
    cases: str = "*",
    questions: Collection[str] = tuple(Question),
    results: str | Path | None = None,
    baselines: str | Path | None = None,
    progress: Callable[[str], None] = print,
    **options: Any,
) -> Run:
    """Measure and judge a tier, write the run to ``results`` as pytest does, and return it with its verdicts.

    ``cases`` is a shell pattern on case ids. A case that it matches and that was promoted in this tier, but is no longer declared
    in it, fails as missing. ``options`` are those of `Options`: blocks, rounds, time_budget, timing, patience,
    memory_limit, resume (a run's name or path), against, against_python.

    Raises:
        VlmgateError: something is wrong with the suite or an option, before anything was measured.
    """
    path = Path(suite).resolve()
    opened = load_suite(path, MODELS, VARIANTS, DATASETS, METRICS)
    root, chosen = path.parent.parent, opened.tier(tier)
    asked = [Question(question) for question in questions]
    results = Path(results or root / "results")
    if options.get("resume"):
        options["resume"] = find_run(results, str(options["resume"]))

    def selects(case: str, question: Question) -> bool:
        return question in asked and fnmatchcase(case, cases)

    session = Session(opened, chosen, selects, Options(root, cache_folder(), **options), {}, progress)
    session.baselines = load_baselines(Path(baselines or root / "baselines"), session.environment)
    if not session.selected and not session.absent:
        ids = [case.id for case in chosen.cases]
        raise VlmgateError(f"no case of tier {tier} matches {cases!r} with these questions; {suggested(cases, ids, LIST)}")
    return read_run(session.measure_into(results, write_reports))


def _suite_or_registries(suite: str | Path | None) -> tuple[Path, Suite | None]:
    """The suite's path, and the suite; without a file and without one asked for, None: the built-in names."""
    path = Path(suite or DEFAULT_SUITE)
    return path, load_suite(path, MODELS, VARIANTS, DATASETS, METRICS) if suite or path.exists() else None
