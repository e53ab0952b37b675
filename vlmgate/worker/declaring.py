"""One job: what the suite file of this side declares, and with which libraries this side runs (`--against`)."""

from dataclasses import asdict
from pathlib import Path

from vlmgate.protocol import Message
from vlmgate.worker.common import Emit


def declare(job: Message, emit: Emit) -> None:
    """The cases of a tier with the models that the options moved elsewhere, the plugins, and the versions of this side."""
    import platform

    from vlmgate.datasets import DATASETS
    from vlmgate.metrics import METRICS
    from vlmgate.models import MODELS
    from vlmgate.models.source import with_source
    from vlmgate.record.environment import versions
    from vlmgate.suite import load_suite
    from vlmgate.variants import VARIANTS

    moved = job["moved"]  # model → (source, path)
    models = {name: with_source(model, *moved[name]) if name in moved else model for name, model in MODELS.items()}
    suite = load_suite(Path(job["suite"]), models, VARIANTS, DATASETS, METRICS)
    cases = [
        {"id": case.id, "model": asdict(case.model), "variant": asdict(case.variant), "questions": list(case.questions)}
        for case in suite.tier(job["tier"]).cases
    ]
    about = {"python": platform.python_version(), "versions": versions()}
    emit({"event": "result", "data": {"cases": cases, "plugins": list(suite.plugins), **about}})
