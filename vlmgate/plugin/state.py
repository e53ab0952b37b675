"""What the plugin knows during one pytest session, and the measuring that it starts."""

import shlex
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from vlmgate.datasets import DATASETS
from vlmgate.judge import absent
from vlmgate.metrics import METRICS
from vlmgate.models import MODELS
from vlmgate.models.source import own_folders, with_source
from vlmgate.record import find_run, fingerprint, load_baselines
from vlmgate.report import write_reports
from vlmgate.running import Options, Session, cache_folder, most_threads
from vlmgate.running.against import Declared, ask, open_side
from vlmgate.spec import Question, Run, Source
from vlmgate.suite import Suite, load_suite
from vlmgate.variants import VARIANTS

DEFAULT_SUITE = Path("benchmarks") / "suite.yaml"


class State:
    """What the plugin knows during one pytest session."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.run: Run | None = None
        self.folder: Path | None = None
        self.not_evaluated: list[str] = []
        self._is_live = False  # the last line on the terminal is one to overwrite
        self.items: dict[str, set[Question]] = {}  # what is asked, declared here or not
        self.untold = 0  # gates that failed for nothing but what could not be told
        self.error = ""  # what is wrong with the suite file or an option, met while collecting

    @cached_property
    def path(self) -> Path:
        return Path(self.config.getoption("vlmgate_suite") or self.config.rootpath / DEFAULT_SUITE).resolve()

    @cached_property
    def suite(self) -> Suite:
        option = self.config.getoption
        own = own_folders(option("vlmgate_model_path"), MODELS)
        source = option("vlmgate_model_source")
        if source == Source.LOCAL and own:
            source = None  # models without a folder keep their own weights
        models = {name: with_source(model, source, own.get(name)) for name, model in MODELS.items()}
        return load_suite(self.path, models, VARIANTS, DATASETS, METRICS)

    @property
    def root(self) -> Path:
        return self.path.parent.parent

    @cached_property
    def absent(self) -> dict[str, tuple[Question, ...]]:
        """Case id → questions that it answered when it was promoted here in this tier, or that the other side of --against asks
        of it, and that the tier no longer asks."""
        tier = self.suite.tier(self.config.getoption("vlmgate_tier"))
        here = fingerprint(most_threads(self.suite), self.root)
        there = self.there.questions if self.there else {}
        return absent(load_baselines(self.baselines, here), tier.name, tier.questions, there)

    @cached_property
    def there(self) -> Declared | None:
        """What the other side of --against declares. With --collect-only nobody is asked, as no worker is started then."""
        option = self.config.getoption
        if not option("vlmgate_against") or option("collectonly"):
            return None
        side = open_side(option("vlmgate_against"), self.root, cache_folder(), option("vlmgate_against_python"))
        self.progress(f"asking {side.about} what it declares")
        return ask(side, self.suite, option("vlmgate_tier"), self.root)

    def cases(self, question: Question) -> list[str]:
        """The cases that get an item in the file of a question: those of the tier, and those that are missing from it."""
        tier = self.suite.tier(self.config.getoption("vlmgate_tier"))
        return list(dict.fromkeys([*tier.questions, *(case for case, asked in self.absent.items() if question in asked)]))

    def measure(self) -> None:
        """Measure what the selected items ask, judge it and write it down; an interrupt keeps what was measured."""
        option = self.config.getoption
        tier = self.suite.tier(option("vlmgate_tier"))
        results = Path(option("vlmgate_results") or self.root / "results")
        resume = find_run(results, option("vlmgate_resume")) if option("vlmgate_resume") else None
        options = Options(
            root=self.root,
            cache=cache_folder(),
            timing=not option("benchmark_disable", False),
            blocks=option("vlmgate_blocks"),
            rounds=option("vlmgate_rounds"),
            time_budget=option("vlmgate_time_budget"),
            patience=option("vlmgate_patience"),
            memory_limit=option("vlmgate_memory_limit"),
            resume=resume,
            against=option("vlmgate_against"),
            against_python=option("vlmgate_against_python"),
            command=shlex.join(["pytest", *map(str, self.config.invocation_params.args)]),
        )
        session = Session(self.suite, tier, self._selects, options, {}, self.progress, self.live)
        session.baselines, session.there = load_baselines(self.baselines, session.environment), self.there
        try:
            session.measure_into(results, self._keep)
        finally:
            self._end_live()

    def _selects(self, case: str, question: Question) -> bool:
        return question in self.items.get(case, ())

    def _keep(self, run: Run, folder: Path) -> None:
        self.run, self.folder = run, folder
        write_reports(run, folder)

    @property
    def baselines(self) -> Path:
        return Path(self.config.getoption("vlmgate_baselines") or self.root / "baselines")

    @property
    def _reporter(self) -> Any:
        """pytest's own writer; None under -q, which is silent."""
        return self.config.pluginmanager.get_plugin("terminalreporter") if self.config.get_verbosity() >= 0 else None

    def progress(self, line: str) -> None:
        """A line that stays, in place of the live one."""
        if self._reporter:
            self._end_live()
            self._reporter.ensure_newline()
            self._reporter.write_line(f"vlmgate: {line}")

    def _end_live(self) -> None:
        if self._is_live:
            self._reporter.rewrite("", erase=True)
            self._reporter.rewrite("")  # back to the first column
            self._is_live = False

    @property
    def live(self) -> Callable[[str], None] | None:
        """What overwrites the live line; None where there is no terminal, or nothing is to be said."""
        return self._live if self._reporter and self._reporter.isatty else None

    def _live(self, line: str) -> None:
        width: int = self._reporter._tw.fullwidth
        self._is_live = True
        self._reporter.rewrite(f"vlmgate: {line}"[: width - 1], erase=True, flush=True)
