"""The vocabulary: nothing changes after it was written down, and the words are those of the documents."""

import dataclasses

import pytest
from runs import make_run

from vlmgate import spec
from vlmgate.spec import Case, Model, Question, Settings, Source, Variant

NOUNS = [thing for thing in vars(spec).values() if dataclasses.is_dataclass(thing)]


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.__name__)
def test_every_noun_is_frozen_and_explained(noun):
    assert noun.__dataclass_params__.frozen
    assert noun.__doc__ and not noun.__doc__.startswith(f"{noun.__name__}(")  # the default docstring explains nothing


def test_a_run_cannot_be_edited():
    run = make_run()
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.name = "another"
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.cases[0].settings.batch = 2


def test_the_id_of_a_case_is_model_variant_dataset():
    model = Model("blip-base", "blip", Source.RANDOM, "", {"vision": ("vision_model",)})
    assert Case(model, Variant("int8-dynamic"), "scenes", Settings(), (Question.SIZE,)).id == "blip-base/int8-dynamic/scenes"


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (spec.Question, "latency memory size quality energy"),
        (spec.Better, "higher lower"),
        (spec.Against, "reference baseline limit"),
        (spec.Outcome, "pass fail unresolved waived skip"),
        (spec.Change, "improved unchanged regressed unknown"),
        (spec.Source, "fixture hub local random"),
    ],
)
def test_the_words_are_the_documented_ones(words, values):
    assert [str(word) for word in words] == values.split()


def test_containers_of_two_records_are_not_shared():
    one, two = Variant("a"), Variant("b")
    assert one.steps == two.steps == ()
    first, second = (spec.CaseRecord(f"m/{v}/d", "m", v, "d", "", (), Settings(), {}, "") for v in "ab")
    assert first.exact is not second.exact


def test_settings_can_be_keys_whatever_their_environment() -> None:
    one, same, other = (Settings(environment=found) for found in ({"A": "1"}, {"A": "1"}, {"A": "2"}))
    assert {one: 1}[same] == 1 and other not in {one}
