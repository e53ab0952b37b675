"""Captions and their scores."""

from sessions import records, verdicts

from vlmgate.spec import Outcome, Run


def test_random_weights_are_asked_for_no_captions(broken: Run) -> None:
    case = "tiny-random/slow/scenes"
    record, found = records(broken)[case], verdicts(broken, case)
    assert record.failure is None and not record.captions  # the other model's failure is not its own
    assert found["parameters"].outcome is Outcome.PASS
    assert found["agreement"].outcome is Outcome.SKIP
    assert found["agreement"].sentence.endswith(
        "random weights cannot caption; give real ones with --model-source hub or --model-path"
    )
