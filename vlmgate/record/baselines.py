"""Baselines: promote a run's cases into files that review well, and load them again for judging.

``<root>/<environment>/environment.json`` and one file a case, ``<root>/<environment>/<model>/<variant>/<dataset>.json``.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from vlmgate.record.codec import to_json
from vlmgate.record.document import SCHEMA_VERSION, check, check_version, layout, read_document
from vlmgate.record.environment import differences
from vlmgate.record.files import TEMPORARY, locked, read_as, safe_name, write_together
from vlmgate.spec import Baseline, CaseRecord, Environment, Outcome, Run, VlmgateError

ENVIRONMENT_FILE = "environment.json"
LOCK_FILE = ".promote.lock"
PATIENCE = 10.0  # seconds a second promotion waits for the first
PASSING = ("commit", "dirty", "load_average")  # of info: true of one moment, noise in a review

BlockValues = Mapping[str, Mapping[str, tuple[float, ...]]]


def promote(
    run: Run,
    root: Path,
    *,
    cases: Sequence[str] | None,
    reason: str,
    force: bool,
    block_values: BlockValues,
    patience: float = PATIENCE,
) -> list[Path]:
    """Make the values of a run the baselines of its environment; returns the files written, environment.json first.

    ``cases`` are shell patterns of case ids (None: all that were measured). ``block_values`` maps case id → metric → block values
    (natural logarithms). A case that failed, or is unresolved, or whose run was interrupted is refused, and with it the
    whole promotion; ``force`` takes it and marks it. Nothing is written unless everything is. Raises VlmgateError.
    """
    chosen = _choose(run, cases)
    problems = {record.id: found for record in chosen if (found := _problems(run, record))}
    if problems and not force:
        listed = "; ".join(f"{case} ({', '.join(found)})" for case, found in problems.items())
        raise VlmgateError(f"run {run.name} is not promoted: {listed}; leave these out with --cases, or take them with --force")
    folder = root / safe_name(run.environment.name)
    with locked(root / LOCK_FILE, patience):
        _sweep(folder)
        contents: dict[Path, str | bytes] = {folder / ENVIRONMENT_FILE: _environment_text(run.environment)}
        for record in chosen:
            path = baseline_path(root, run.environment.name, record.id)
            old = _read_baseline(root, path, run.environment.name) if path.exists() else None
            values = {metric: tuple(block) for metric, block in block_values.get(record.id, {}).items()}
            baseline = _baseline(run, record, values, reason, record.id in problems, old)
            data = {"schema": SCHEMA_VERSION, **to_json(baseline)}
            check(data, "baseline", path)
            contents[path] = layout(data, indent=2, sort=True)
        return write_together(contents)


def baseline_path(root: Path, environment: str, case: str) -> Path:
    """Where the baseline of a case id is kept; colons and other odd letters of names become safe ones."""
    names = [safe_name(name) for name in case.split("/", 2)]
    return root.joinpath(safe_name(environment), *names[:-1], names[-1] + ".json")


def _choose(run: Run, patterns: Sequence[str] | None) -> list[CaseRecord]:
    """The measured cases that match; a pattern that matches none of them is an error, as is a run that measured nothing."""
    measured = [record for record in run.cases if not record.skip]
    for pattern in patterns or ():
        if not any(fnmatchcase(record.id, pattern) for record in measured):
            known = ", ".join(record.id for record in measured) or "none"
            raise VlmgateError(f"no measured case of run {run.name} matches {pattern!r}; measured are: {known}")
    chosen = [r for r in measured if patterns is None or any(fnmatchcase(r.id, pattern) for pattern in patterns)]
    if not chosen:
        raise VlmgateError(f"run {run.name} has no measured case to promote; run the suite first, or give other --cases")
    return chosen


def _problems(run: Run, record: CaseRecord) -> list[str]:
    """Why a case is not fit to be a baseline, as phrases."""
    found = [] if run.status == "complete" else [f"the run is {run.status}"]
    if record.failure:
        found.append(f"{record.failure.kind} while {record.failure.stage}")
    bad = (Outcome.FAIL, Outcome.UNRESOLVED)
    found += [f"{v.outcome} {v.metric} against {v.against}" for v in run.verdicts if v.case == record.id and v.outcome in bad]
    return list(dict.fromkeys(found))


def _baseline(
    run: Run, record: CaseRecord, values: dict[str, tuple[float, ...]], reason: str, forced: bool, old: Baseline | None
) -> Baseline:
    for metric, block in values.items():
        if not all(map(math.isfinite, block)):
            raise VlmgateError(f"{record.id} is not promoted: its block values of {metric} are not all finite; measure it again")
    if record.dataset not in run.datasets:
        raise VlmgateError(f"{record.id} is not promoted: run {run.name} has no sha256 of the dataset {record.dataset}")
    info = run.environment.info
    commit = str(info.get("commit", "")) + ("-dirty" if info.get("dirty") else "")
    promoted = datetime.now(UTC).isoformat(timespec="seconds")
    entry = {"run": run.name, "commit": commit, "promoted": promoted, "reason": reason, "forced": forced}
    entry |= {"levels": _levels(values), "made_with": _made_with(run, record)}
    past = ({name: value for name, value in item.items() if name != "made_with"} for item in (old.history if old else ()))
    return Baseline(
        case=record.id,
        environment=run.environment.name,
        run=run.name,
        commit=commit,
        promoted=promoted,
        reason=reason,
        forced=forced,
        settings=record.settings,
        dataset=run.datasets[record.dataset],
        blocks=values,
        exact=record.exact,
        memory=record.memory,
        scores=record.scores,
        captions=record.captions,
        history=(*past, entry),
    )


def _levels(values: Mapping[str, tuple[float, ...]]) -> dict[str, Any]:
    """Mean, standard deviation and number of the block values: what the sustained level over promotions is made from."""
    return {
        metric: {"mean": statistics.fmean(block), "sd": statistics.stdev(block) if len(block) > 1 else None, "n": len(block)}
        for metric, block in values.items()
        if block
    }


def _made_with(run: Run, record: CaseRecord) -> dict[str, Any]:
    """What may change and is printed in a verdict; kept for the newest promotion only, git has the older ones."""
    info = run.environment.info
    versions = {"python": info.get("python", ""), **info.get("versions", {})}
    return {"versions": versions, "recipe": dict(record.recipe), "checkpoint": record.checkpoint, "scores": record.signature}


def _environment_text(environment: Environment) -> str:
    info = {name: value for name, value in environment.info.items() if name not in PASSING}
    data = to_json(Environment(environment.key, info, environment.name))
    return layout({"schema": SCHEMA_VERSION, **data}, indent=2, sort=True)


def _sweep(folder: Path) -> None:
    """Remove the temporaries of a promotion that was killed; called under the lock, so nobody is using them."""
    for path in folder.rglob(f".*{TEMPORARY}"):
        path.unlink(missing_ok=True)


def load_baselines(root: Path, environment: Environment) -> dict[str, Baseline]:
    """Case id → baseline of this environment, in order of the ids; empty where none was promoted.

    Raises VlmgateError naming the file and what is wrong with it.
    """
    folder = root / safe_name(environment.name)
    if (folder / ENVIRONMENT_FILE).exists():
        _check_key(folder / ENVIRONMENT_FILE, environment)
    found: dict[str, Baseline] = {}
    for path in sorted(folder.glob("*/*/*.json")):
        baseline = _read_baseline(root, path, environment.name)
        found[baseline.case] = baseline
    return dict(sorted(found.items()))


def _check_key(path: Path, environment: Environment) -> None:
    if unlike := differences(_read_environment(path).key, environment.key):
        raise VlmgateError(
            f"{path} does not describe the environment its folder is named after ({'; '.join(unlike)}); restore it"
        )


def nearest(root: Path, environment: Environment) -> dict[str, list[str]]:
    """Other environments with baselines → how they differ, fewest differences first: ``isa: avx2 against amx_int8``.

    The stored one is named first in each line. An unreadable one is given with its error, as this serves messages only.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(root.glob(f"*/{ENVIRONMENT_FILE}")):
        try:
            other = _read_environment(path)
            if other.name != environment.name:
                found[other.name] = differences(other.key, environment.key)
        except VlmgateError as error:
            found[path.parent.name] = [str(error)]
    return dict(sorted(found.items(), key=lambda item: (len(item[1]), item[0])))


def _read_baseline(root: Path, path: Path, environment: str) -> Baseline:
    """One file, which must be of the environment and the case that its path names: a copied or renamed one is not."""
    data = read_document(path)
    check(data, "baseline", path)
    baseline = read_as(Baseline, data, path)
    if baseline.environment != environment:
        raise VlmgateError(f"{path} is of environment {baseline.environment}, but lies in the folder of {environment}; move it")
    if path != baseline_path(root, environment, baseline.case):
        raise VlmgateError(f"{path} holds the case {baseline.case}, which its path does not name; remove or rename it")
    return baseline


def _read_environment(path: Path) -> Environment:
    data = read_document(path)
    check_version(data, path)
    return read_as(Environment, data, path)
