"""`promote --top-up`: a stored run goes on to the blocks that a baseline needs, as a run of its own that resumes it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from vlmgate.record import LEAST_BLOCKS, read_run
from vlmgate.running.options import Options
from vlmgate.running.progress import Say
from vlmgate.running.session import Session
from vlmgate.spec import Baseline, Question, Run, VlmgateError
from vlmgate.suite import Suite


def top_up(
    path: Path,
    suite: Suite,
    options: Options,
    results: Path,
    cases: Sequence[str] | None,
    baselines: Mapping[str, Baseline],
    keep: Callable[[Run, Path], object],
    progress: Say = lambda line: None,
) -> Path:
    """A new run under ``results``: what the one at ``path`` measured of ``cases`` (patterns), and the missing blocks.

    ``keep`` writes it down; returns its folder. Raises VlmgateError where environment, libraries, suite file, images, weights or
    settings are not as they were: blocks of different things must not be mixed.
    """
    stored = read_run(path)
    if stored.other:
        raise VlmgateError(f"run {stored.name} was measured beside {stored.other.label}; top up a run without --against")
    asked = {record.id: record.questions for record in stored.cases if record.questions and not record.skip}
    chosen = {case: q for case, q in asked.items() if cases is None or any(fnmatchcase(case, each) for each in cases)}
    if not any(Question.LATENCY in questions for questions in chosen.values()):
        raise VlmgateError(f"run {stored.name} timed none of these cases, so nothing is to be topped up; leave --top-up out")
    options = replace(options, blocks=LEAST_BLOCKS, rounds=_rounds(stored, suite), resume=path)

    def selects(case: str, question: Question) -> bool:
        return question in chosen.get(case, ())

    return Session(suite, suite.tier(stored.tier), selects, options, baselines, progress).measure_into(results, keep)


def _rounds(stored: Run, suite: Suite) -> int | None:
    """The number of rounds that an option gave the stored run; None where its cases have those of the suite."""
    own = {case.id: case.settings.rounds for case in suite.tier(stored.tier).cases}
    given = {record.settings.rounds for record in stored.cases if record.settings.rounds != own.get(record.id)}
    return given.pop() if given else None
