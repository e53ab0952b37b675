"""A verdict holds its evidence, survives run.json, and older files without the newer fields still load."""

import dataclasses

from vlmgate.record import from_json, to_json
from vlmgate.spec import Against, Estimate, Outcome, Question, StandardError, Verdict

FOUND = Estimate(0.9, 0.85, 0.95, 6, 0.98, "t, 6 blocks", StandardError(0.02, 5.0, 0.01))
FULL = Verdict(
    "m/int8/d",
    "time_per_caption",
    Question.LATENCY,
    Against.BASELINE,
    Outcome.WAIVED,
    "a sentence",
    line=0.03,
    estimate=FOUND,
    margin=0.04,
    spent=(0.001, 0.02),
    confirm="confirmed",
    confirmation=FOUND,
    contaminated=True,
    changed={"7": ("a cube", "a cone")},
    since=("torch 2.12 → 2.13",),
    detects=0.08,
)


def test_the_evidence_survives_the_file():
    assert from_json(Verdict, to_json(FULL)) == FULL


def test_a_verdict_of_before_loads_with_defaults():
    newer = ("margin", "spent", "confirm", "confirmation", "contaminated", "changed", "since", "detects")
    old = {name: value for name, value in to_json(FULL).items() if name not in newer}
    fields = {field.name: field for field in dataclasses.fields(Verdict)}
    loaded = from_json(Verdict, old)
    assert (loaded.margin, loaded.spent, loaded.confirm, loaded.confirmation) == (None, (), "", None)
    assert fields["changed"].default_factory is dict and not loaded.changed and loaded.since == () and not loaded.contaminated
    assert loaded.detects is None
