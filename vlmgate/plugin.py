"""The pytest glue: options, one item a case and question, measuring before the first item runs, verdicts as outcomes."""

from argparse import ArgumentTypeError
from collections.abc import Generator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from vlmgate.datasets import DATASETS
from vlmgate.metrics import METRICS
from vlmgate.models import MODELS
from vlmgate.models.source import with_source
from vlmgate.record import load_baselines, new_run_folder
from vlmgate.report import terminal, write_reports
from vlmgate.report.benchmark import ReplayTimer, replay
from vlmgate.run import Options, Session, cache_folder
from vlmgate.spec import Outcome, Question, Run, Source, Verdict, VlmgateError
from vlmgate.suite import Suite, load_suite
from vlmgate.variants import VARIANTS

STATE: "pytest.StashKey[State]" = pytest.StashKey()
UNRESOLVED: "pytest.StashKey[bool]" = pytest.StashKey()
DEFAULT_SUITE = Path("benchmarks") / "suite.yaml"


class State:
    """What the plugin knows during one pytest session."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.run: Run | None = None
        self.folder: Path | None = None
        self.not_evaluated: list[str] = []
        self.items: dict[str, set[Question]] = {}
        self.error = ""  # what is wrong with the suite file or an option, met while collecting

    @cached_property
    def path(self) -> Path:
        return Path(self.config.getoption("vlmgate_suite") or self.config.rootpath / DEFAULT_SUITE).resolve()

    @cached_property
    def suite(self) -> Suite:
        option = self.config.getoption
        own = dict(part.split("=", 1) for part in option("vlmgate_model_path") if "=" in part)
        if odd := [part for part in option("vlmgate_model_path") if "=" not in part] + sorted(own.keys() - MODELS.keys()):
            raise VlmgateError(f"--model-path {odd[0]}: expected NAME=DIR with NAME one of {', '.join(MODELS)}")
        source = option("vlmgate_model_source")
        if source == Source.LOCAL and own:
            source = None  # models without a folder keep their own weights
        models = {name: with_source(model, source, own.get(name)) for name, model in MODELS.items()}
        return load_suite(self.path, models, VARIANTS, DATASETS, METRICS)

    @property
    def root(self) -> Path:
        return self.path.parent.parent

    def measure(self) -> None:
        """Measure what the selected items ask, judge it and write it down; an interrupt keeps what was measured."""
        option = self.config.getoption
        tier = self.suite.tier(option("vlmgate_tier"))
        options = Options(
            root=self.root,
            cache=cache_folder(),
            timing=not option("benchmark_disable", False),
            blocks=option("vlmgate_blocks"),
            rounds=option("vlmgate_rounds"),
            time_budget=option("vlmgate_time_budget"),
            patience=option("vlmgate_patience"),
        )
        selected = {case.id: tuple(q for q in case.questions if q in self.items.get(case.id, ())) for case in tier.cases}
        selected = {case: questions for case, questions in selected.items() if questions}
        session = Session(self.suite, tier, selected, options, {}, self.progress)
        session.baselines = load_baselines(self.baselines, session.environment)
        self.folder = new_run_folder(Path(option("vlmgate_results") or self.root / "results"), tier.name)
        try:
            session.measure()
        finally:
            if session.records:
                self.run = session.finish(self.folder.name)
                write_reports(self.run, self.folder)
            else:  # stopped before there was anything to write down, such as by a dataset that is missing
                self.folder.rmdir()

    @property
    def baselines(self) -> Path:
        return Path(self.config.getoption("vlmgate_baselines") or self.root / "baselines")

    def progress(self, line: str) -> None:
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter and self.config.get_verbosity() >= 0:
            reporter.ensure_newline()
            reporter.write_line(f"vlmgate: {line}")


class Gate:
    """What a benchmark test holds: one case and one question."""

    def __init__(self, state: State, item: pytest.Item, case: str, question: Question, timer: ReplayTimer | None) -> None:
        self.state, self.item, self.case, self.question, self.timer = state, item, case, question, timer

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts on this case and question, in the order of suite.yaml."""
        run = self.state.run
        return [v for v in run.verdicts if v.case == self.case and v.question is self.question] if run else []

    def replay(self, benchmark: Any) -> None:
        """Show this case's times, those of all blocks, in pytest-benchmark's table and files."""
        run, variant = self.state.run, self.case.split("/")[1]
        group = self.case.replace(f"/{variant}/", "/", 1)
        blocks = [block for block in run.blocks if block.model == group and variant in block.times] if run else []
        times = [seconds for block in blocks for image in block.times[variant] for seconds in image]
        if not times:
            benchmark._mode = "not timed"  # nothing to show, and nothing was forgotten
            return
        extra = {"case": self.case, "blocks": len(blocks), "verdict": self._worst().value, "run": str(self.state.folder)}
        assert self.timer is not None
        replay(benchmark, self.timer, times, extra)

    def check(self) -> None:
        """Fail, skip or pass as the verdicts say; a failure names every missed line."""
        verdicts, worst = self.verdicts, self._worst()
        if worst is Outcome.FAIL:
            missed = dict.fromkeys(v.sentence for v in verdicts if v.outcome is Outcome.FAIL)  # a crash misses every line alike
            pytest.fail("\n".join(missed), pytrace=False)
        if worst is Outcome.UNRESOLVED:
            words = "\n".join(v.sentence for v in verdicts if v.outcome is Outcome.UNRESOLVED)
            if self.state.config.getoption("vlmgate_strict"):
                pytest.fail(f"{words}\n(--gate-strict: what cannot be told is a failure)", pytrace=False)
            self.item.stash[UNRESOLVED] = True
            pytest.skip(words)
        if worst is Outcome.SKIP:
            pytest.skip("; ".join(dict.fromkeys(v.sentence for v in verdicts)) or self._why_unasked())

    def _why_unasked(self) -> str:
        """Why there is no verdict at all: the case or the question was skipped, or suite.yaml holds no line about it."""
        cases = self.state.run.cases if self.state.run else ()
        record = next((record for record in cases if record.id == self.case), None)
        reason = record and (record.skip or record.skips.get(self.question.value))
        return f"{self.case}: {self.question.value} skipped: {reason or 'no threshold in suite.yaml asks about it'}"

    def _worst(self) -> Outcome:
        found = {v.outcome for v in self.verdicts}
        return next((o for o in (Outcome.FAIL, Outcome.UNRESOLVED, Outcome.PASS) if o in found), Outcome.SKIP)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("vlmgate", "vlmgate: gates for compressed vision-language models")
    add = group.addoption
    add("--tier", dest="vlmgate_tier", default="default", metavar="NAME", help="tier of suite.yaml to run (default: %(default)s)")
    add("--suite", dest="vlmgate_suite", metavar="FILE", help=f"suite file (default: {DEFAULT_SUITE} below pytest's rootdir)")
    add(
        "--model-source",
        dest="vlmgate_model_source",
        choices=["hub", "local", "random"],
        help="weights of blip-base and blip-large: random (default), from the hub, or local with --model-path",
    )
    add(
        "--model-path",
        dest="vlmgate_model_path",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="weights of model NAME from a folder in save_pretrained layout",
    )
    add(
        "--blocks",
        dest="vlmgate_blocks",
        type=_positive(int),
        metavar="N",
        help="exactly N blocks (fresh workers) a model, instead of 6, 12, 24 until decided",
    )
    add("--rounds", dest="vlmgate_rounds", type=_positive(int), metavar="N", help="rounds in a block, instead of the tier's")
    add(
        "--time-budget",
        dest="vlmgate_time_budget",
        type=_positive(float),
        metavar="SECONDS",
        help="stop timing after so long; what was cut is said",
    )
    add(
        "--patience",
        dest="vlmgate_patience",
        type=_positive(float),
        default=300.0,
        metavar="SECONDS",
        help="a worker silent for so long counts as hung (default: %(default)g)",
    )
    add("--gate-strict", dest="vlmgate_strict", action="store_true", help="an unresolved verdict fails (for releases)")
    add("--results", dest="vlmgate_results", metavar="DIR", help="where runs are written (default: results/ beside benchmarks/)")
    add("--baselines", dest="vlmgate_baselines", metavar="DIR", help="promoted runs (default: baselines/ beside benchmarks/)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "vlmgate(question): one item a case of the tier, asked this question")
    config.stash[STATE] = State(config)
    if config.getoption("dist", "no") != "no" and _asks_for_benchmarks(config):
        raise pytest.UsageError(
            "vlmgate measures times: cases that run side by side (-n) would disturb each other; run without -n"
        )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("vlmgate")
    if marker is None:
        return
    state, question = metafunc.config.stash[STATE], Question(marker.args[0])
    try:
        cases = [case.id for case in state.suite.tier(metafunc.config.getoption("vlmgate_tier")).cases]
    except VlmgateError as error:  # raised here, it would be shown once a file, each with a traceback
        state.error, cases = str(error), []
    timer = {case: ReplayTimer() for case in cases}
    params = [
        pytest.param(
            (case, question, timer[case]), id=case, marks=pytest.mark.benchmark(timer=timer[case], group=case.split("/")[0])
        )
        for case in cases
    ]
    metafunc.parametrize("gate", params, indirect=True)


@pytest.fixture
def gate(request: pytest.FixtureRequest) -> Gate:
    """One case and question, already measured and judged."""
    return Gate(request.config.stash[STATE], request.node, *request.param)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Note what is asked after all deselection; pytest-benchmark's own switches deselect too."""
    state, option = session.config.stash[STATE], session.config.getoption
    if state.error:
        raise pytest.UsageError(state.error)
    for item in [] if session.config.option.collectonly else session.items:
        callspec = getattr(item, "callspec", None)
        if item.get_closest_marker("vlmgate") is None or callspec is None:
            continue
        case, question, _ = callspec.params["gate"]
        timed = question is Question.LATENCY
        if (option("benchmark_only", False) and not timed) or (option("benchmark_skip", False) and timed):
            state.not_evaluated.append(f"{question.value} of {case}")
        else:
            state.items.setdefault(case, set()).add(question)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Measure before the first item; --collect-only starts no worker."""
    state = session.config.stash[STATE]
    if not state.items or session.testsfailed:
        return
    try:
        state.measure()
    except VlmgateError as error:
        raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: "pytest.CallInfo[None]") -> Generator[None, Any, Any]:
    report = yield
    if call.when == "call" and item.stash.get(UNRESOLVED, False):
        report.vlmgate_unresolved = True
    return report


def pytest_report_teststatus(report: Any) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    if getattr(report, "vlmgate_unresolved", False):
        return "unresolved", "u", ("UNRESOLVED", {"cyan": True})
    return None


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    state = config.stash[STATE]
    if state.run or state.not_evaluated:
        terminalreporter.section("vlmgate")
    if state.run:
        terminalreporter.write_line(terminal.render(state.run, colour=terminalreporter.hasmarkup, record=state.folder))
    if state.not_evaluated:
        terminalreporter.write_line(f"not evaluated (deselected by pytest-benchmark's options): {', '.join(state.not_evaluated)}")


def _asks_for_benchmarks(config: pytest.Config) -> bool:
    """Whether the paths on the command line reach the folder of the suite."""
    home = config.stash[STATE].path.parent
    paths = [Path(str(argument).split("::")[0]).resolve() for argument in config.args]
    return any(path == home or home in path.parents or path in home.parents for path in paths)


def _positive(kind: type) -> Any:
    def number(text: str) -> Any:
        with suppress(ValueError):
            if (value := kind(text)) > 0:
                return value
        raise ArgumentTypeError(f"expected a {'whole ' if kind is int else ''}number above zero, got '{text}'")

    return number
