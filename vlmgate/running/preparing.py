"""The selected cases as groups that take turns, and the artefacts of all their arms."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vlmgate.datasets import load_dataset
from vlmgate.meters import find_meter
from vlmgate.running.cache import keep_to_size, size_limit
from vlmgate.running.group import Group
from vlmgate.running.state import State
from vlmgate.spec import Case, CaseRecord, Dataset, Question, Source, VlmgateError
from vlmgate.suite import Suite, Tier, reference_of
from vlmgate.variants.artefact import fingerprint, folder_of

NO_WEIGHTS = "random weights cannot caption; give real ones with --model-source hub or --model-path"


def selected_groups(state: State) -> list[Group]:
    """Selected cases with their references (needed even when deselected: then measured, not judged), each with a record."""
    groups: dict[str, Group] = {}
    for case in state.tier.cases:
        if case.id not in state.selected:
            continue
        reference = reference_of(case, state.tier.cases)
        if reference is None:
            raise VlmgateError(
                f"{case.id}: tier {state.tier.name} has no reference for it; add the unmodified variant to the tier"
            )
        name = f"{case.model.name}/{case.dataset}"
        if name not in groups:
            groups[name] = Group([reference], reference, _dataset(state, case.dataset))
        if case.id != reference.id:
            groups[name].cases.append(case)
    for group in groups.values():
        for case in group.cases:
            state.records[case.id] = _record(state, case, group)
    return list(groups.values())


def _dataset(state: State, name: str) -> Dataset:
    dataset = declared_dataset(state.suite, state.tier, name, state.options.root, state.options.cache)
    state.datasets[name] = dataset.sha256
    return dataset


def declared_dataset(suite: Suite, tier: Tier, name: str, root: Path, cache: Path) -> Dataset:
    """The dataset with as many images as any case of the tier takes: its sha256 must not depend on what is selected."""
    of = [case.settings for case in tier.cases if case.dataset == name]
    return first_images(suite, name, root, cache, max(max(settings.images, settings.timed_images) for settings in of))


def first_images(suite: Suite, name: str, root: Path, cache: Path, limit: int) -> Dataset:
    """So many images of a dataset as suite.yaml names it: a user's folder is relative to the file."""
    beside = suite.path.parent / name
    return load_dataset(str(beside) if beside.is_dir() else name, root, cache, limit)


def _record(state: State, case: Case, group: Group) -> CaseRecord:
    reference = "" if case.id == group.reference.id else group.reference.id
    recipe = json.loads(json.dumps(asdict(case.variant)))  # plain JSON values, as they come back from run.json
    if there := folder_of(case.variant):
        recipe["sha256"] = fingerprint(there)  # of all its files: an artefact may change while its name stays
    questions = tuple(state.selected.get(case.id, ()))
    random = case.model.source is Source.RANDOM and Question.QUALITY in questions
    skips = {Question.QUALITY.value: NO_WEIGHTS} if random else {}
    if Question.ENERGY in questions and (why := find_meter(case.variant.device)[1]):
        skips[Question.ENERGY.value] = why
    settings = replace(case.settings, rounds=state.options.rounds or case.settings.rounds)
    names = (case.id, case.model.name, case.variant.name, case.dataset)
    return CaseRecord(*names, reference, questions, settings, recipe, checkpoint="", skips=skips)


def prepare(state: State, group: Group) -> bool:
    """Artefacts of all arms, with their sizes; a failing arm is left out and the others prepared again (from the cache).

    Returns whether the reference, and so the group, can be measured.
    """
    model = asdict(group.reference.model)
    while cases := [case for case in group.cases if state.alive(case)]:
        variants = [asdict(case.variant) for case in cases]
        extra: dict[str, Any] = {
            "model": model,
            "variants": variants,
            "root": str(state.options.root),
            "cache": str(state.options.cache),
        }
        answer = state.job(group, "prepare", [], **extra)
        if not answer.failure:
            break
        state.fail(group, answer.failure)
    else:
        return False
    group.gpu_free = answer.result.get("gpu_free")
    for case in cases:
        data = answer.arms[case.variant.name]
        if "skip" in data:
            state.update(case, skip=data["skip"])
        else:
            group.arms[case.variant.name] = data["folder"]
            state.update(case, exact=data["exact"], checkpoint=data["checkpoint"], engine=data.get("engine", ""))
    if not state.alive(group.reference):
        _skip_all(state, group)
    state.hold.add(_folders(state, group))
    return state.alive(group.reference)


def _folders(state: State, group: Group) -> list[Path]:
    """What of the cache the group needs: artefacts, the built checkpoint, rendered images."""
    images = [Path(example.image).parents[1] for example in group.dataset.examples[:1]]
    inside = [folder for folder in images if folder.parent == state.options.cache]
    built = state.options.cache.glob(f"random/{group.reference.model.name}-*")
    artefacts = [Path(arm) for arm in group.arms.values() if state.options.cache in Path(arm).parents]
    return [*artefacts, *inside, *built]


def trim_cache(state: State) -> None:
    """Keep the cache to its size; what this run or another one uses stays."""
    for entry in keep_to_size(state.options.cache, size_limit()):
        state.progress(f"cache: removed {entry.id} ({entry.size / 1e6:.0f} MB), the least recently used")


def _skip_all(state: State, group: Group) -> None:
    why = state.records[group.reference.id].skip
    for case in group.cases:
        state.update(case, skip=state.records[case.id].skip or f"the reference cannot run here: {why}")
