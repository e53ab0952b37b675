"""What may have changed since a baseline: commit, libraries, checkpoint, recipe, scoring; never a reason to skip."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vlmgate.spec import Baseline, Run

SHORT = 10  # letters of a commit or checkpoint that are shown
SHOWN = 5  # changes in the sentence of a verdict; all are in its evidence and in the report
TOOLS = ("pytest", "pytest-benchmark")  # their version moves no number


def changed_since(baseline: Baseline, run: Run) -> list[str]:
    """One phrase for each thing that is not as when ``baseline`` was promoted: ``torch 2.12 → 2.13``; empty where all is.

    Covers Python and library versions, the checkpoint of the case, its recipe step by step, how it is scored, and the commit.
    What a baseline does not hold (one from before it was kept) is not compared.
    """
    made = dict(baseline.history[-1].get("made_with", {})) if baseline.history else {}
    return _phrases({**made, "commit": baseline.commit}, made_with(run, baseline.case))


def since_phrase(changes: Sequence[str]) -> str:
    """What the sentence of a missed line adds; empty where nothing changed."""
    more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    return f"; changed since: {', '.join(changes[:SHOWN])}{more}" if changes else ""


def changed_between(then: Run, now: Run, case: str) -> list[str]:
    """The same between two runs of a case."""
    return _phrases(made_with(then, case), made_with(now, case))


def changed_beside(run: Run) -> list[str]:
    """The same between the two sides of a run with --against, of commit and libraries; empty without."""
    if run.other is None:
        return []
    info = run.other.info
    versions = {"python": info.get("python", ""), **info.get("versions", {})}
    return _phrases({"versions": versions, "commit": info.get("commit", "")}, made_with(run, ""))


def made_with(run: Run, case: str) -> dict[str, Any]:
    """What a case of a run was made with; without checkpoint, recipe and scores where the run has no such case."""
    info = run.environment.info
    commit = str(info.get("commit", "")) + ("-dirty" if info.get("dirty") else "")
    made: dict[str, Any] = {"versions": {"python": info.get("python", ""), **info.get("versions", {})}, "commit": commit}
    record = next((record for record in run.cases if record.id == case), None)
    return made | record.made_of if record else made


def _phrases(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [f"{name} {old} → {new}" for name, old, new in _pairs(then, now) if old != new]


def _pairs(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(name, then, now) of everything that both sides know, in the order in which it is read."""
    if then.get("versions") and now.get("versions"):
        old, new = then["versions"], now["versions"]
        for name in sorted({*old, *new} - set(TOOLS)):
            yield name, _shown(old.get(name)), _shown(new.get(name))
    if then.get("checkpoint") and now.get("checkpoint"):
        yield "checkpoint", *_apart(then["checkpoint"], now["checkpoint"])
    if "recipe" in then and "recipe" in now:
        old, new = (dict(_leaves(_doing(side["recipe"]))) for side in (then, now))
        for name in [*old, *(name for name in new if name not in old)]:
            yield f"recipe {name}", _shown(old.get(name)), _shown(new.get(name))
    if then.get("engine") and now.get("engine"):
        yield "engine", then["engine"], now["engine"]
    if then.get("scores") and now.get("scores"):
        yield "scoring", f"({_scorer(then['scores'])})", f"({_scorer(now['scores'])})"
    if then.get("commit") and now.get("commit"):
        yield "commit", *_apart(then["commit"], now["commit"])


def _scorer(signature: str) -> str:
    """Tokenizer and library of a signature of scores; how many images and references there were is told where it is judged."""
    return " | ".join(signature.split(" | ")[:2])


def _shown(value: Any) -> str:
    return "none" if value is None or value == "" else str(value)


def _apart(old: str, new: str) -> tuple[str, str]:
    """Two digests, short; whole where the short ones could not be told apart. ``-dirty`` is kept."""

    def short(digest: str) -> str:
        letters, dash, mark = digest.partition("-")
        return letters[:SHORT] + dash + mark

    return (short(old), short(new)) if (short(old) == short(new)) == (old == new) else (old, new)


def _doing(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe without its name and description, which do nothing."""
    return {name: value for name, value in recipe.items() if name not in ("about", "name")}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every plain value inside lists and mappings, with its path: ``steps[0].parameters.amount``."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{number}]")
    else:
        yield path, value
