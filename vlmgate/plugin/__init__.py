"""The pytest glue: options, one item a case and question, measuring before the first item runs, verdicts as outcomes."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from vlmgate.judge import exit_status
from vlmgate.plugin.gate import UNRESOLVED, Gate
from vlmgate.plugin.options import add_options
from vlmgate.plugin.state import State
from vlmgate.report import terminal
from vlmgate.report.benchmark import ReplayTimer
from vlmgate.spec import Question, VlmgateError

STATE: "pytest.StashKey[State]" = pytest.StashKey()

__all__ = ["Gate"]


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


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
        cases = state.cases(question)
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


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where gates failed only because they could not be told (--gate-strict), end as `vlmgate judge --strict` does: 3 or 6."""
    state = session.config.stash[STATE]
    if state.run and state.untold and session.testsfailed == state.untold:
        session.exitstatus = exit_status(state.run.verdicts, strict=True)


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
