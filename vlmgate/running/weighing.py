"""Peaks of memory of every arm, each in fresh processes of its own."""

from dataclasses import replace

from vlmgate.running.group import Group
from vlmgate.running.state import State
from vlmgate.spec import Case, Question


def weigh(state: State, group: Group) -> None:
    """The peaks of every case that is asked for memory, and of its reference."""
    for case in state.wanted(group, Question.MEMORY):
        if state.alive(case) and not state.records[case.id].memory:  # a failing reference takes the group with it
            _weigh_one(state, group, case)
            state.save()


def _weigh_one(state: State, group: Group, case: Case) -> None:
    peaks: dict[str, tuple[float, ...]] = {}
    images = [example.image for example in group.dataset.examples[: case.settings.batch]]
    for _ in range(case.settings.processes):
        state.progress(f"{group.name}: memory of {case.variant.name}")
        answer = state.job(group, "memory", [case], images=images)
        if answer.failure:
            state.fail(group, replace(answer.failure, arm=case.variant.name))
            return
        for name, value in answer.arms[case.variant.name].items():
            peaks[name] = (*peaks.get(name, ()), float(value))
    state.update(case, memory=peaks)
