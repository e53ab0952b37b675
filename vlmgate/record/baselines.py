"""Baselines: promote a run's cases into files that review well, and load them again for judging.

``<root>/<environment>/environment.json`` and one file a case, ``<root>/<environment>/<model>/<variant>/<dataset>.json``.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vlmgate.record.codec import to_json
from vlmgate.record.document import SCHEMA_VERSION, check, check_version, layout, read_document
from vlmgate.record.environment import differences
from vlmgate.record.files import TEMPORARY, locked, read_as, safe_name, write_together
from vlmgate.record.finite import check_finite
from vlmgate.record.fitness import other_than, unfit, unlike
from vlmgate.record.occasions import levels, with_occasion, with_spread
from vlmgate.spec import Baseline, CaseRecord, Environment, Run, VlmgateError
from vlmgate.spec.names import suggested

ENVIRONMENT_FILE = "environment.json"
LOCK_FILE = ".promote.lock"
PATIENCE = 10.0  # seconds a second promotion waits for the first
PASSING = ("commit", "dirty", "load_average")  # of info: true of one moment, noise in a review
RESTORE = "restore the file from git, or delete it and promote the case anew"

BlockValues = Mapping[str, Mapping[str, tuple[float, ...]]]


def promote(
    run: Run,
    root: Path,
    *,
    cases: Sequence[str] | None,
    reason: str,
    force: bool,
    block_values: BlockValues,
    also_unfit: Mapping[str, Sequence[str]] = MappingProxyType({}),
    patience: float = PATIENCE,
) -> list[Path]:
    """Make the values of a run the baselines of its environment; returns the files written, environment.json first.

    ``cases`` are shell patterns of case ids (None: all that were measured). ``block_values`` maps case id → metric → block values
    (natural logarithms). A case that failed, is waived or unresolved, was timed in too few blocks (`fitness`) or is in
    ``also_unfit`` (case id → phrases) is refused, and with it the whole promotion; ``force`` takes it and marks it for ever.
    History, occasions and the spread between runs are carried on. Nothing is written unless everything is. Raises VlmgateError.
    """
    records = chosen(run, cases)
    with _changing(root, run, patience) as folder:
        path = folder / ENVIRONMENT_FILE
        if path.exists():
            _check_key(path, run.environment)  # one of a newer vlmgate, or edited into nonsense, is not written over
        contents: dict[Path, str | bytes] = {path: _environment_text(run.environment)}
        problems: dict[str, list[str]] = {}
        for record in records:
            path, old = _stored(root, run, record)
            values = {metric: tuple(block) for metric, block in block_values.get(record.id, {}).items()}
            if found := [*unfit(run, record, values, old), *also_unfit.get(record.id, ())]:
                problems[record.id] = found
            contents[path] = text_of(baseline_of(run, record, values, reason, found, old), path)
        if problems and not force:
            raise VlmgateError(
                f"run {run.name} is not promoted: {listed(problems)}; leave these out with --cases, or take them with --force"
            )
        return write_together(contents)


def add_occasion(
    run: Run,
    root: Path,
    *,
    cases: Sequence[str] | None,
    block_values: BlockValues,
    also_unlike: Mapping[str, Sequence[str]] = MappingProxyType({}),
    patience: float = PATIENCE,
) -> list[Path]:
    """Let a run of unchanged things count for the spread between runs; the baselines themselves stay. Returns the files written.

    Every chosen case needs a baseline of the same settings and images; ``also_unlike`` maps case id → phrases of what else is not
    as it was promoted. Nothing is written unless everything is. Raises VlmgateError.
    """
    records = chosen(run, cases)
    with _changing(root, run, patience):
        contents: dict[Path, str | bytes] = {}
        problems: dict[str, list[str]] = {}
        for record in records:
            path, old = _stored(root, run, record)
            values = block_values.get(record.id, {})
            found = [*unlike(run, record, values, old), *also_unlike.get(record.id, ())]
            if found or old is None:
                problems[record.id] = found
            elif values:
                contents[path] = text_of(with_occasion(old, run.name, commit_of(run), levels(values)), path)
        if problems:
            raise VlmgateError(f"run {run.name} is no other occasion: {listed(problems)}; leave these out with --cases")
        if not contents:
            raise VlmgateError(f"run {run.name} timed none of these cases, so it says nothing of the spread between runs")
        return write_together(contents)


@contextmanager
def _changing(root: Path, run: Run, patience: float) -> Iterator[Path]:
    """The folder of the run's environment, held against other promotions and swept of what a killed one left."""
    folder = root / safe_name(run.environment.name)
    with locked(root / LOCK_FILE, patience):
        _sweep(folder)
        yield folder


def _stored(root: Path, run: Run, record: CaseRecord) -> tuple[Path, Baseline | None]:
    path = baseline_path(root, run.environment.name, record.id)
    return path, _read_baseline(root, path, run.environment.name) if path.exists() else None


def text_of(baseline: Baseline, path: Path) -> str:
    """A baseline as its file holds it, checked against the schema."""
    data = {"schema": SCHEMA_VERSION, **to_json(baseline)}
    check_finite(data, path, "it is not promoted: measure the case again")
    check(data, "baseline", path)
    return layout(data, indent=2, sort=True)


def listed(problems: Mapping[str, Sequence[str]]) -> str:
    """Cases with what is wrong with them, in one line."""
    return "; ".join(f"{case} ({', '.join(found)})" for case, found in problems.items())


def baseline_path(root: Path, environment: str, case: str) -> Path:
    """Where the baseline of a case id is kept; colons and other odd letters of names become safe ones."""
    names = [safe_name(name) for name in case.split("/", 2)]
    return root.joinpath(safe_name(environment), *names[:-1], names[-1] + ".json")


def chosen(run: Run, patterns: Sequence[str] | None) -> list[CaseRecord]:
    """The measured cases that match; a pattern that matches none of them is an error, as is a run that measured nothing."""
    measured = [record for record in run.cases if not record.skip]
    for pattern in patterns or ():
        if not any(fnmatchcase(record.id, pattern) for record in measured):
            known = suggested(pattern, [record.id for record in measured])
            raise VlmgateError(f"no measured case of run {run.name} matches {pattern!r}; {known}")
    fitting = [r for r in measured if patterns is None or any(fnmatchcase(r.id, pattern) for pattern in patterns)]
    if not fitting:
        raise VlmgateError(f"run {run.name} has no measured case to promote; run the suite first, or give other --cases")
    return fitting


def baseline_of(
    run: Run, record: CaseRecord, values: Mapping[str, tuple[float, ...]], reason: str, problems: list[str], old: Baseline | None
) -> Baseline:
    """What `promote` writes for a case: its values in place of ``old``, whose history and occasions go on."""
    for metric, block in values.items():
        if not all(map(math.isfinite, block)):
            raise VlmgateError(f"{record.id} is not promoted: its block values of {metric} are not all finite; measure it again")
    if record.dataset not in run.datasets:
        raise VlmgateError(f"{record.id} is not promoted: run {run.name} has no sha256 of the dataset {record.dataset}")
    commit, promoted, forced = commit_of(run), datetime.now(UTC).isoformat(timespec="seconds"), bool(problems)
    entry = {"run": run.name, "commit": commit, "promoted": promoted, "reason": reason, "forced": forced}
    entry |= {"unfit": problems} if problems else {}
    entry |= {"other": other} if old and (other := other_than(run, record, old)) else {}
    entry |= {"levels": levels(values), "made_with": _made_with(run, record)}
    past = ({name: value for name, value in item.items() if name != "made_with"} for item in (old.history if old else ()))
    made = Baseline(
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
        tier=run.tier,
        occasions=old.occasions if old else (),
        reference=record.reference,
        questions=record.questions,
    )
    return with_spread(made)


def commit_of(run: Run) -> str:
    """Commit that a run was made at, with -dirty where files had changed."""
    info = run.environment.info
    return str(info.get("commit", "")) + ("-dirty" if info.get("dirty") else "")


def _made_with(run: Run, record: CaseRecord) -> dict[str, Any]:
    """What may change and is printed in a verdict; kept for the newest promotion only, git has the older ones."""
    info = run.environment.info
    versions = {"python": info.get("python", ""), **info.get("versions", {})}
    return {"versions": versions, **record.made_of}


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
    if root.exists() and not root.is_dir():
        raise VlmgateError(f"{root} is no folder; give the folder of promoted baselines, such as baselines/ (--baselines DIR)")
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


def find_environment(root: Path, which: str) -> Environment:
    """The stored environment that ``which`` means: the name of a folder under ``root``, its path, or that of a file in it.

    Raises VlmgateError naming the environments that are stored.
    """
    for start in (root / which, Path(which)):
        for folder in (start, *start.parents)[:4]:  # a case's file lies three folders below
            if start.exists() and (folder / ENVIRONMENT_FILE).is_file():
                return _read_environment(folder / ENVIRONMENT_FILE)
    known = suggested(which, [path.parent.name for path in root.glob(f"*/{ENVIRONMENT_FILE}")])
    raise VlmgateError(f"no stored environment {which!r} in {root}; {known}")


def find_baseline(root: Path, which: str) -> Baseline | None:
    """The baseline in the file of a case that ``which`` names, from ``root`` or by its path; None where it is no such file."""
    for path in (root / which, Path(which)):
        if path.is_file() and path.name != ENVIRONMENT_FILE:
            folder = path.absolute().parents[2]
            return _read_baseline(folder.parent, path.absolute(), _read_environment(folder / ENVIRONMENT_FILE).name)
    return None


def _read_baseline(root: Path, path: Path, environment: str) -> Baseline:
    """One file, which must be of the environment and the case that its path names: a copied or renamed one is not."""
    data = read_document(path, constants=True)
    check_version(data, path)
    check_finite(data, path, RESTORE)
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
