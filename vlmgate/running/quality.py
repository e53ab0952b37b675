"""Captions of every arm on the same images, scored against the references and compared with the reference model's."""

from collections.abc import Mapping

import numpy as np

from vlmgate.metrics import degenerate, scores
from vlmgate.protocol import Message
from vlmgate.running.clock import QUALITY
from vlmgate.running.group import MOST, Group
from vlmgate.running.state import State
from vlmgate.spec import Case, Question, Source


def caption(state: State, group: Group) -> None:
    """Caption and score every case that is asked for quality; random weights have nothing to say.

    At most ``MOST`` cases a worker, and what it said is written down before the next one starts.
    """
    asked = state.wanted(group, Question.QUALITY)
    if not asked or group.reference.model.source is Source.RANDOM:
        return
    examples = group.dataset.examples[: group.reference.settings.images]
    while cases := [case for case in asked if state.alive(case) and not state.records[case.id].captions][:MOST]:
        state.progress(f"{group.name}: captioning {len(examples)} images with {len(cases)} variants")
        images = [example.image for example in examples]
        answer = state.job(group, "caption", cases, hear=lambda message: _show(state, group, message), images=images)
        with state.clock.phase(QUALITY):
            for case in cases:
                if case.variant.name in answer.arms:
                    texts = answer.arms[case.variant.name]["captions"]
                    _score(state, case, group, {str(example.id): text for example, text in zip(examples, texts, strict=True)})
        if answer.failure:
            state.fail(group, answer.failure)
        else:
            asked = [case for case in asked if case not in cases]
        state.save()


def _show(state: State, group: Group, message: Message) -> None:
    if message["event"] == "tick":
        state.tell.live(lambda: f"{group.name}: captioning, image {message['done']} of {message['of']}")


def _score(state: State, case: Case, group: Group, captions: Mapping[str, str]) -> None:
    references = {str(example.id): example.references for example in group.dataset.examples}
    stats = scores.statistics(captions, references)
    totals = {name: float(value[0]) for name, value in scores.unsmoothed(np.asarray(list(stats.values()))).items()}
    exact = dict(state.records[case.id].exact)
    exact |= {"empty_share": degenerate.empty_share(captions), "degenerate_share": degenerate.degenerate_share(captions)}
    if then := captions if case is group.reference else state.records[group.reference.id].captions:
        exact["agreement"] = degenerate.agreement(captions, then)
        exact["length_drift"] = abs(degenerate.length_ratio(captions, then) - 1)
    signature = scores.signature(len(captions), min(len(references[key]) for key in captions))
    state.update(case, captions=captions, quality=stats, scores=totals, exact=exact, signature=signature)
