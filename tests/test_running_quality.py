"""Captions and their scores."""

from sessions import records, verdicts

from vlmgate.metrics.scores import FIELDS
from vlmgate.spec import Outcome, Run


def test_a_bleu_is_kept_as_zero_where_nothing_matches(whole: tuple[Run, list[str]]) -> None:
    """The tiny model babbles: pycocoevalcap's smoothing alone would give it a BLEU."""
    captioned = [record for record in whole[0].cases if record.captions]
    correct = [
        [sum(row[FIELDS.index(f"correct_{n}")] for row in record.quality.values()) for n in (1, 2, 3, 4)] for record in captioned
    ]
    assert any(not sums[3] for sums in correct)
    kept = [[record.scores[f"bleu_{n}"] > 0 for n in (1, 2, 3, 4)] for record in captioned]
    assert kept == [[found > 0 for found in sums] for sums in correct]


def test_random_weights_are_asked_for_no_captions(broken: Run) -> None:
    case = "tiny-random/slow/scenes"
    record, found = records(broken)[case], verdicts(broken, case)
    assert record.failure is None and not record.captions  # the other model's failure is not its own
    assert found["parameters"].outcome is Outcome.PASS
    assert found["agreement"].outcome is Outcome.SKIP
    assert found["agreement"].sentence.endswith(
        "random weights cannot caption; give real ones with --model-source hub or --model-path"
    )
