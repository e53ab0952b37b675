"""Runs with --against: what the other side measured stands in for the promoted baselines."""

from vlmgate.judge.since import made_with
from vlmgate.spec import Baseline, CaseRecord, Other, Run

RUNS = 1_000  # as good as any number: both sides were measured in one run, so nothing lies between runs


def side_name(label: str, *, own_libraries: bool) -> str:
    """The other side as users read it: the name they gave it, and what it shares with this side."""
    return label if own_libraries else f"{label} (its code with the libraries of this side)"


def baselines_beside(run: Run) -> dict[str, Baseline]:
    """What the other side measured of each case, as a baseline of sizes, peaks, scores and captions; its times are in blocks."""
    if run.other is None:
        return {}
    records = {record.id: record for record in run.cases}
    measured = [record for record in run.other.cases if not record.skip and not record.failure]
    return {record.id: _baseline(run, run.other, record, records[record.id]) for record in measured if record.id in records}


def _baseline(run: Run, other: Other, then: CaseRecord, now: CaseRecord) -> Baseline:
    commit = str(other.info.get("commit", ""))
    made = made_with(run, now.id) | then.made_of
    made["versions"] = {"python": other.info.get("python", ""), **other.info.get("versions", {})}
    return Baseline(
        case=now.id,
        environment=run.environment.name,
        run=other.label,
        commit=commit,
        promoted=run.started,
        reason="",
        forced=False,
        settings=then.settings,
        dataset=run.datasets[now.dataset],
        blocks={},
        exact=then.exact,
        memory=then.memory,
        scores=then.scores,
        captions=then.captions,
        history=({"run": other.label, "made_with": made},),
        between_sd=0.0,
        between_runs=RUNS,
    )
