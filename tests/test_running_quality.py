"""Captions and their scores."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sessions import DIES, QUALITY, SECONDS, SLOW, Made, Place, records, verdicts

from vlmgate.metrics.scores import FIELDS
from vlmgate.record import read_run
from vlmgate.running import quality
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


def test_what_a_worker_said_is_written_down_before_the_next_one_starts(
    place: Place, made: Callable[..., Made], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two variants a worker here; stopped before the second worker, and gone on with."""
    monkeypatch.setattr(quality, "MOST", 2)
    selected, workers, told = {SLOW: (QUALITY,), DIES: (QUALITY,)}, made(SECONDS), []

    def interrupt(line: str) -> None:
        told.append(line)
        if sum("captioning" in each for each in told) == 2:
            raise KeyboardInterrupt

    for name in ("stopped", "new"):
        (tmp_path / name).mkdir()
    with pytest.raises(KeyboardInterrupt):
        place.session(selected, interrupt, folder=tmp_path / "stopped").measure()
    kept = {name for name, record in records(read_run(tmp_path / "stopped" / "run.json")).items() if record.captions}
    assert kept == {"tiny/fp32/scenes", SLOW} and workers.jobs["caption"] == 1
    run = place.session(selected, folder=tmp_path / "new", resume=tmp_path / "stopped" / "run.json")
    run.measure()
    assert workers.jobs["caption"] == 2  # for what was missing only
    assert all(record.captions for record in run.records.values())


def test_a_worker_that_dies_costs_its_own_variant_only(
    place: Place, made: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "MOST", 2)
    made(SECONDS, {"caption": ["slow"]})
    run = place.session({SLOW: (QUALITY,), DIES: (QUALITY,)})
    run.measure()
    assert {name: bool(record.captions) for name, record in run.records.items()} == {
        "tiny/fp32/scenes": True,
        SLOW: False,
        DIES: True,
    }
