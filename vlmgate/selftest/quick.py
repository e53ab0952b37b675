"""The short proof, live: changes made on purpose go through the real session, and every gate must see its own."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vlmgate.judge import judge_run
from vlmgate.metrics import METRICS
from vlmgate.running import Options, Session
from vlmgate.selftest.arms import REFERENCE
from vlmgate.selftest.promoted import before, promoted
from vlmgate.selftest.rates import rate
from vlmgate.selftest.tables import Table
from vlmgate.spec import Against, Case, Model, Outcome, Question, Run, Settings, Step, Threshold, Variant, Verdict, VlmgateError
from vlmgate.suite import Suite, Tier
from vlmgate.variants import ALL_PARTS, VARIANTS

DATASET, TIER, COPY = "scenes", "selftest", "copy"
SETTINGS = Settings(batch=1, new_tokens=16, max_tokens=24, threads=1, images=60, timed_images=4, rounds=3, blocks=12)
WITHIN = 280.0  # seconds for the session: 300 for the command, less what starting, the last judging and promoting take
NOT_SLOWER = 0.95  # floor on the speed-up in both speed checks
SINCE = ", since the promoted run"  # after the name of a check whose line is against a baseline


@dataclass(frozen=True)
class Check:
    """A change on purpose, the line that it meets, and whether that line must fail."""

    name: str
    variant: Variant
    metric: str
    line: float
    tolerance: float  # of the loss since a baseline
    must_fail: bool = True

    @property
    def question(self) -> Question:
        return METRICS[self.metric].question


def _pruned(amount: float) -> Variant:
    return Variant(f"pruned-{amount * 100:.0f}", (Step("l1_prune", {"parts": ALL_PARTS, "amount": amount}),))


def _changed(name: str, recipe: str, **parameters: float) -> Variant:
    return Variant(name, (Step(recipe, parameters),))


CHECKS = (
    Check("A/A: a second copy of the reference", Variant(COPY), "time_per_caption", NOT_SLOWER, 0.03, must_fail=False),
    Check("20 % slower by busy work", _changed("slow20", "slowed", share=0.2), "time_per_caption", NOT_SLOWER, 0.03),
    Check("damaged: 70 % of the weights pruned", _pruned(0.7), "cider", 0.9, 0.1),
    Check("damaged: 60 % of the weights pruned", _pruned(0.6), "cider", 0.9, 0.1),
    Check(
        "inflated: a forgotten tensor of 20 % in the artefact", _changed("inflated", "inflated", share=0.2), "size", -0.01, 0.01
    ),
    Check("hog: 200 MB more while it runs", _changed("hog", "hog", bytes=200_000_000), "peak_memory", -0.1, 0.1),
)


@dataclass(frozen=True)
class Seen:
    """A check and what the gate said of it."""

    check: Check
    verdict: Verdict

    @property
    def name(self) -> str:
        return self.check.name + (SINCE if self.verdict.against is Against.BASELINE else "")

    @property
    def right(self) -> bool:
        return (self.verdict.outcome is Outcome.FAIL) is self.check.must_fail


def suite_of(model: Model, root: Path, checks: Sequence[Check], settings: Settings = SETTINGS) -> Suite:
    """A suite of the reference and one case a check, each with the one line it meets."""
    cases = [Case(model, VARIANTS[REFERENCE], DATASET, settings, tuple({check.question: 0 for check in checks}))]
    cases += [Case(model, check.variant, DATASET, settings, (check.question,)) for check in checks]
    lines = [
        Threshold(case.id, check.metric, Against.REFERENCE, check.line, check.name)
        for case, check in zip(cases[1:], checks, strict=True)
    ]
    tier = Tier(TIER, "changes made on purpose", tuple(cases))
    return Suite(root / "benchmarks" / "suite.yaml", "", {TIER: tier}, tuple(lines), (), METRICS)


def run_checks(
    model: Model,
    options: Options,
    questions: Collection[Question] = tuple(Question),
    progress: Callable[[str], None] = lambda line: None,
    settings: Settings = SETTINGS,
) -> list[Seen]:
    """Measure and judge, in one session, all checks whose question is asked; then judge the same measurements again as the run
    after one without the changes was promoted. A worker that dies is seen as its case's fail."""
    checks = [check for check in CHECKS if check.question in questions]
    suite = suite_of(model, options.root, checks, settings)
    session = Session(suite, suite.tiers[TIER], lambda case, question: True, options, {}, progress)
    session.measure()
    run = session.finish(TIER)
    thresholds = {case.id: suite.thresholds_for(case.id) for case in suite.tiers[TIER].cases}
    return [*_seen(run.verdicts, model, checks), *since_promoted(run, model, checks, thresholds, progress)]


def _seen(verdicts: Sequence[Verdict], model: Model, checks: Sequence[Check]) -> list[Seen]:
    found = {(verdict.case, verdict.metric): verdict for verdict in verdicts}
    return [Seen(check, found[_id(model, check), check.metric]) for check in checks]


def _id(model: Model, check: Check) -> str:
    return f"{model.name}/{check.variant.name}/{DATASET}"


def since_promoted(
    run: Run,
    model: Model,
    checks: Sequence[Check],
    thresholds: Mapping[str, Sequence[Threshold]],
    progress: Callable[[str], None] = lambda line: None,
) -> list[Seen]:
    """Promote what ``run`` would have been without the changes, and judge it as it is against that. Nothing is measured."""
    baselines, refused = promoted(before(run, REFERENCE, COPY, thresholds))
    progress(f"promoted without the changes{f' with --force, since {refused}' if refused else ''}")
    lines = {
        _id(model, check): [Threshold(_id(model, check), check.metric, Against.BASELINE, check.tolerance, check.name)]
        for check in checks
    }
    return _seen(judge_run(run, lines, METRICS, baselines), model, checks)


def checks_table(seen: Sequence[Seen]) -> Table:
    """Expected beside got, one row a check."""
    rows = []
    for one in seen:
        expected = "fail" if one.check.must_fail else "not fail"
        rows.append([one.name, expected, str(one.verdict.outcome), "right" if one.right else "WRONG"])
    return Table("Changes on purpose, live", ["change", "expected", "got", ""], rows, [one.verdict.sentence for one in seen])


def repeated_table(runs: Sequence[Mapping[str, str]]) -> Table:
    """How often each check failed over several live runs, each a mapping from check to outcome."""
    rows = []
    for since in ("", SINCE):
        for check in CHECKS:
            name = check.name + since
            fails = rate(run[name] == Outcome.FAIL for run in runs if name in run)
            rows.append([name, "fail" if check.must_fail else "not fail", str(fails)])
    return Table(f"{len(runs)} live runs", ["change", "expected", "fails (95 % interval)"], rows)


def outcomes_of(seen: Sequence[Seen]) -> dict[str, str]:
    """Check → outcome, as the log of repeated runs keeps them."""
    return {one.name: str(one.verdict.outcome) for one in seen}


def read_log(path: Path) -> list[dict[str, str]]:
    """The runs in a log of JSON lines (empty without a file); VlmgateError where it is none."""
    if not path.exists():
        return []
    try:
        return [{str(name): str(outcome) for name, outcome in json.loads(line).items()} for line in path.open(encoding="utf-8")]
    except (OSError, ValueError, AttributeError) as error:
        raise VlmgateError(f"{path} is no log of live runs ({error}); name another with --log") from error
