"""Captioning, by a real worker on a tiny model."""

from collections.abc import Callable
from pathlib import Path

from jobs import IMAGES, job

from vlmgate.measure import run_job
from vlmgate.protocol import Message


def test_captions_are_those_made_here(tricks: Path, arm: Callable[..., Message]) -> None:
    from vlmgate.artefacts import load_artefact
    from vlmgate.datasets.images import open_image

    heard: list[Message] = []
    arms = [arm("fp32"), arm("again", "fp32")]
    answer = run_job("caption", job(tricks, arms=arms), listener=heard.append)
    assert answer.failure is None
    captioner = load_artefact(Path(arms[0]["folder"]))
    here = [captioner.caption([open_image(Path(path))], 8)[0] for path in IMAGES]
    assert answer.arms["fp32"]["captions"] == answer.arms["again"]["captions"] == here
    assert all(here)
    assert len(answer.arms["fp32"]["seconds"]) == len(IMAGES)  # one a batch
    assert [message["done"] for message in heard if message["event"] == "tick"] == [1, 2, 3] * 2
