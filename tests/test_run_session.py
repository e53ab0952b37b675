"""Whole runs: for real on a tiny model, and the rules of going on or stopping with answers made up (24 blocks take long)."""

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from jobs import NEW_TOKENS, ROOT, write_tricks

from vlmgate.datasets import DATASETS
from vlmgate.measure import Answer
from vlmgate.metrics import METRICS
from vlmgate.models import MODELS
from vlmgate.run import Options, Session, session
from vlmgate.spec import CaseRecord, Failure, Outcome, Question, Run, Verdict
from vlmgate.suite import load_suite
from vlmgate.variants import VARIANTS

LATENCY, MEMORY, SIZE, QUALITY = Question
SUITE = """\
schema: 1
plugins: [tricks.py]
settings: {{images: 4, timed_images: 2, rounds: 2, blocks: {blocks}, threads: 1, new_tokens: {new_tokens}, max_tokens: 8}}
tiers:
  smoke:
    cases:
      - {{models: {models}, variants: [fp32, slow, dies, fp16-cuda], datasets: [scenes]}}
thresholds:
  - {{cases: "*", metric: time_per_caption, against: reference, floor: {floor}, reason: speed}}
  - {{cases: "*", metric: peak_memory, against: reference, floor: -9, reason: memory}}
  - {{cases: "*", metric: parameters, against: limit, at_most: 1000000, reason: size}}
  - {{cases: "*", metric: agreement, against: limit, at_least: 1, reason: the same captions}}
"""
FP32, SLOW, DIES, CUDA = (f"tiny/{name}/scenes" for name in ("fp32", "slow", "dies", "fp16-cuda"))
ALL = tuple(Question)


class Place:
    """A folder with a plugin and a cache, in which sessions are run."""

    def __init__(self, folder: Path, checkpoint: Path, *, family: bool = False) -> None:
        self.folder, self.models = folder, "[tiny, tiny-random]" if family else "[tiny]"
        write_tricks(folder / "tricks.py", checkpoint, family=family)

    def session(
        self,
        selected: Mapping[str, tuple[Question, ...]],
        progress: Callable[[str], None] = lambda line: None,
        *,
        blocks: int = 24,
        floor: float = 0.001,
        **options: Any,
    ) -> Session:
        path = self.folder / "suite.yaml"
        text = SUITE.format(blocks=blocks, new_tokens=NEW_TOKENS, models=self.models, floor=floor)
        path.write_text(text, encoding="utf-8")
        suite = load_suite(path, MODELS, VARIANTS, DATASETS, METRICS)
        return Session(
            suite, suite.tier("smoke"), selected, Options(ROOT, self.folder / "cache", patience=120, **options), {}, progress
        )


@pytest.fixture(scope="module")
def no_gpu() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, no_gpu: None) -> Place:
    return Place(tmp_path_factory.mktemp("session"), tiny_checkpoint)


@pytest.fixture(scope="module")
def whole(place: Place) -> tuple[Run, list[str]]:
    """A run with a deselected reference, a variant that is well, one that dies when it is timed, and one that cannot run."""
    lines: list[str] = []
    selected = {SLOW: ALL, DIES: (LATENCY, QUALITY), CUDA: ALL}
    run = place.session(selected, lines.append, blocks=2)
    run.measure()
    return run.finish("whole"), lines


def records(run: Run) -> dict[str, CaseRecord]:
    return {record.id: record for record in run.cases}


def verdicts(run: Run, case: str) -> dict[str, Verdict]:
    return {verdict.metric: verdict for verdict in run.verdicts if verdict.case == case}


def test_a_whole_run_holds_everything_measured(whole: tuple[Run, list[str]]) -> None:
    run, found = whole[0], records(whole[0])
    assert (run.name, run.tier, run.status) == ("whole", "smoke", "complete")
    assert found.keys() == {FP32, SLOW, DIES, CUDA}
    for case in (FP32, SLOW):
        record = found[case]
        assert record.failure is None and not record.skip and not record.skips
        assert record.exact["reloads"] == record.exact["agreement"] == 1.0
        assert record.exact["parameters"] > 1000 and record.checkpoint
        assert all(len(record.memory[name]) == 1 and record.memory[name][0] > 0 for name in ("peak_memory", "heap_peak"))
        assert len(record.captions) == len(record.quality) == 4 and record.scores.keys() >= {"bleu_4", "cider"}
        assert "4 images" in record.signature
    assert found[SLOW].captions == found[FP32].captions
    assert run.datasets.keys() == {"scenes"} and run.environment.key["threads"] == 1


def test_the_time_is_accounted_for(whole: tuple[Run, list[str]]) -> None:
    run = whole[0]
    assert run.phases.keys() == {"preparing", "quality", "memory", "timing", "other"}
    assert all(seconds > 0 for seconds in run.phases.values())
    assert math.isclose(sum(run.phases.values()), run.seconds, rel_tol=0.2)


def test_blocks_have_the_placebo_and_not_the_arm_that_died(whole: tuple[Run, list[str]]) -> None:
    run = whole[0]
    assert [block.index for block in run.blocks] == [0, 1]
    assert len({block.seed for block in run.blocks}) == 2
    for block in run.blocks:
        assert block.model == "tiny/scenes"
        assert block.times.keys() == {"fp32", "slow", "placebo"}
        assert all(len(images) == 2 and all(len(rounds) == 2 for rounds in images) for images in block.times.values())
        slow, fast = (sum(map(sum, block.times[name])) for name in ("slow", "placebo"))
        assert slow > 1.3 * fast  # it is made to take twice as long


def test_a_deselected_reference_is_measured_and_not_judged(whole: tuple[Run, list[str]]) -> None:
    run = whole[0]
    assert records(run)[FP32].questions == () and not verdicts(run, FP32)
    assert records(run)[SLOW].reference == FP32 and records(run)[FP32].reference == ""


def test_an_arm_that_dies_fails_alone(whole: tuple[Run, list[str]]) -> None:
    run, lines = whole
    failure = records(run)[DIES].failure
    assert run.failures == (failure,) and failure is not None
    assert (failure.arm, failure.stage, failure.kind) == ("dies", "warming", "SIGKILL")
    assert len(records(run)[DIES].captions) == 4  # what was measured before is kept
    assert {verdict.outcome for verdict in verdicts(run, DIES).values()} == {Outcome.FAIL}
    assert any("dies failed while warming" in line for line in lines)
    kept = verdicts(run, SLOW)
    assert kept.keys() == {"time_per_caption", "peak_memory", "parameters", "agreement"}
    assert all(kept[metric].outcome is Outcome.PASS for metric in ("peak_memory", "parameters", "agreement"))
    assert kept["time_per_caption"].estimate is not None


def test_what_cannot_run_here_is_skipped_with_the_reason(whole: tuple[Run, list[str]]) -> None:
    run = whole[0]
    assert "fp16-cuda needs an NVIDIA GPU" in records(run)[CUDA].skip
    found = verdicts(run, CUDA)
    assert len(found) == 4
    assert all(v.outcome is Outcome.SKIP and "needs an NVIDIA GPU" in v.sentence for v in found.values())


def test_nothing_half_made_stays_in_the_cache(whole: tuple[Run, list[str]], place: Place) -> None:
    assert whole and not list((place.folder / "cache").rglob("*.partial"))
    assert len(list((place.folder / "cache" / "artefacts" / "tiny").iterdir())) == 3


def test_an_interrupted_session_gives_what_was_measured(place: Place) -> None:
    def interrupt(line: str) -> None:
        if "captioning" in line:
            raise KeyboardInterrupt

    run = place.session({SLOW: ALL}, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.measure()
    done = run.finish("cut")
    assert done.status == "interrupted" and not done.blocks
    assert records(done)[SLOW].exact["parameters"] > 1000
    found = verdicts(done, SLOW)
    assert found["parameters"].outcome is Outcome.PASS
    assert found["time_per_caption"].outcome is found["agreement"].outcome is Outcome.UNRESOLVED


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, no_gpu: None) -> Run:
    """A run in which the reference dies when it is timed, beside a model of random weights that is asked for quality."""
    place = Place(tmp_path_factory.mktemp("broken"), tiny_checkpoint, family=True)
    random_slow = "tiny-random/slow/scenes"
    run = place.session({SLOW: (LATENCY, SIZE), random_slow: (SIZE, QUALITY)}, blocks=2)
    run.measure()
    return run.finish("broken")


def test_a_reference_that_dies_fails_its_group(broken: Run) -> None:
    (failure,) = broken.failures
    assert (failure.arm, failure.stage, failure.kind) == ("fp32", "warming", "SIGSEGV")
    assert broken.status == "complete" and not broken.blocks
    assert records(broken)[FP32].failure == records(broken)[SLOW].failure == failure
    found = verdicts(broken, SLOW)
    assert found["time_per_caption"].outcome is Outcome.FAIL and "SIGSEGV" in found["time_per_caption"].sentence


def test_random_weights_are_asked_for_no_captions(broken: Run) -> None:
    case = "tiny-random/slow/scenes"
    record, found = records(broken)[case], verdicts(broken, case)
    assert record.failure is None and not record.captions  # the other model's failure is not its own
    assert found["parameters"].outcome is Outcome.PASS
    assert found["agreement"].outcome is Outcome.SKIP
    assert found["agreement"].sentence.endswith(
        "random weights cannot caption; give real ones with --model-source hub or --model-path"
    )


class Made:
    """Answers without workers: each arm takes its seconds, with a spread that is the same for all but the reference."""

    def __init__(self, seconds: Mapping[str, float], failing: Mapping[str, Sequence[str]] | None = None) -> None:
        self.seconds, self.failing, self.jobs = seconds, failing or {}, Counter[str]()

    def __call__(self, do: str, job: Mapping[str, Any], **more: Any) -> Answer:
        self.jobs[do] += 1
        names = [variant["name"] for variant in job["variants"]] if do == "prepare" else [arm["name"] for arm in job["arms"]]
        for name in names:
            if name in self.failing.get(do, ()):
                return Answer(failure=Failure(name, "testing", "SIGKILL", "made up"))
        if do == "prepare":
            exact = {"weight_bytes": 1e6, "parameters": 5.0, "reloads": 1.0}
            return Answer(arms={name: {"folder": name, "exact": exact, "checkpoint": "c"} for name in names})
        if do == "memory":
            return Answer(arms={name: {"peak_memory": 1e6} for name in names})
        assert do == "block"
        spread = random.Random(job["seed"])
        times = {name: [[self.seconds[name] * math.exp(spread.gauss(0, 0.03))] * 2] * 2 for name in names}
        few = {name: [self.seconds[name]] * 2 for name in names}
        return Answer(result={"times": times, "first_token": few, "warmup": few, "yardstick": [0.1, 0.1]})


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Made]:
    def use(*arguments: Any) -> Made:
        answers = Made(*arguments)
        monkeypatch.setattr(session, "run_job", answers)
        return answers

    return use


SECONDS = {"fp32": 1.0, "placebo": 1.0, "slow": 1.0, "dies": 0.25, "fp16-cuda": 4.0}


def arms(run: Session) -> Counter[str]:
    return Counter(name for block in run.blocks for name in block.times)


@pytest.mark.parametrize(("most", "near"), [(24, 24), (23, 12), (12, 12), (11, 6), (6, 6), (4, 4)])
def test_only_what_is_undecided_goes_on_to_the_next_look(place: Place, made: Callable[..., Made], most: int, near: int) -> None:
    made(SECONDS)
    run = place.session({SLOW: (LATENCY,), DIES: (LATENCY,), CUDA: (LATENCY,)}, blocks=most, floor=1.0)
    run.measure()
    assert arms(run) == {"fp32": near, "placebo": near, "slow": near, "dies": min(near, 6), "fp16-cuda": min(near, 6)}
    found = run.finish("looks")
    assert verdicts(found, SLOW)["time_per_caption"].outcome is Outcome.UNRESOLVED
    if most >= 6:
        assert verdicts(found, DIES)["time_per_caption"].outcome is Outcome.PASS
        assert verdicts(found, CUDA)["time_per_caption"].outcome is Outcome.FAIL


def test_nothing_goes_on_when_all_is_decided(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS)
    place.session({DIES: (LATENCY,)}, floor=1.0).measure()
    assert answers.jobs["block"] == 6


def test_blocks_and_rounds_can_be_told(place: Place, made: Callable[..., Made]) -> None:
    made(SECONDS)
    run = place.session({DIES: (LATENCY,)}, floor=1.0, blocks=24, rounds=2)
    run.options = Options(ROOT, run.options.cache, blocks=9)
    run.measure()
    assert arms(run)["dies"] == 9


@pytest.mark.parametrize("failing", ["fp32", "placebo", "slow"])
def test_nobody_is_left_to_be_timed_after_a_failure(place: Place, made: Callable[..., Made], failing: str) -> None:
    answers = made(SECONDS, {"block": [failing]})
    run = place.session({SLOW: (LATENCY,)}, floor=1.0)
    run.measure()
    assert run.status == "complete"
    assert records(run.finish("failed"))[SLOW].failure is not None
    assert answers.jobs["block"] == (2 if failing == "slow" else 1) and len(run.blocks) == (failing == "slow")


def test_without_timing_no_block_is_measured(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS)
    run = place.session({SLOW: (LATENCY, MEMORY)}, timing=False)
    run.measure()
    assert answers.jobs == {"prepare": 1, "memory": 2} and not run.blocks
    found = verdicts(run.finish("untimed"), SLOW)
    assert found["time_per_caption"].outcome is Outcome.SKIP and "--benchmark-disable" in found["time_per_caption"].sentence
    assert found["peak_memory"].outcome is Outcome.PASS


def test_no_block_is_measured_when_nobody_asks_for_speed(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS)
    run = place.session({SLOW: (SIZE,)})
    run.options = Options(ROOT, run.options.cache, blocks=3)
    run.measure()
    assert answers.jobs == {"prepare": 1} and run.status == "complete"


def test_a_reference_that_fails_in_memory_ends_its_group(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS, {"memory": ["fp32"]})
    run = place.session({SLOW: (MEMORY, LATENCY), DIES: (MEMORY,)})
    run.measure()
    assert answers.jobs == {"prepare": 1, "memory": 1} and len(run.failures) == 1


def test_a_variant_that_cannot_be_prepared_is_left_out(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS, {"prepare": ["dies"]})
    run = place.session({SLOW: (LATENCY,), DIES: (LATENCY,)}, blocks=6)
    run.measure()
    assert answers.jobs["prepare"] == 2 and arms(run) == {"fp32": 6, "slow": 6, "placebo": 6}
    found = run.finish("left out")
    assert verdicts(found, SLOW)["time_per_caption"].outcome is Outcome.PASS
    assert verdicts(found, DIES)["time_per_caption"].outcome is Outcome.FAIL


def test_the_time_budget_cuts_and_says_so(place: Place, made: Callable[..., Made], monkeypatch: pytest.MonkeyPatch) -> None:
    made(SECONDS)
    run = place.session({SLOW: (LATENCY,)}, time_budget=1e-6)
    run.measure()
    assert run.status == "complete" and not run.blocks
    done = run.finish("cut")
    assert done.notes == ("tiny/scenes: the time budget ended after 0 blocks",)
    found = verdicts(done, SLOW)["time_per_caption"]
    assert found.outcome is Outcome.UNRESOLVED and "--time-budget" in found.sentence


def test_an_interrupt_keeps_the_blocks_already_measured(place: Place, made: Callable[..., Made]) -> None:
    def interrupt(line: str) -> None:
        if "block 4 of 6" in line:
            raise KeyboardInterrupt

    made(SECONDS)
    run = place.session({DIES: (LATENCY,)}, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.measure()
    done = run.finish("stopped")
    assert done.status == "interrupted" and len(done.blocks) == 3
    assert verdicts(done, DIES)["time_per_caption"].estimate is not None


def test_the_dataset_is_the_same_whatever_is_selected(place: Place, made: Callable[..., Made], tmp_path: Path) -> None:
    made(SECONDS)
    text = SUITE.format(blocks=6, new_tokens=NEW_TOKENS, models="[tiny]", floor=1)
    more = "      - {models: [scene-blip], variants: [fp32, pruned], datasets: [scenes], settings: {images: 6}}\n"
    (place.folder / "two.yaml").write_text(text.replace("thresholds:", f"{more}thresholds:"), encoding="utf-8")
    suite = load_suite(place.folder / "two.yaml", MODELS, VARIANTS, DATASETS, METRICS)
    found = []
    for selected in ([SLOW], ["scene-blip/pruned/scenes"], [SLOW, "scene-blip/pruned/scenes"]):
        run = Session(suite, suite.tier("smoke"), dict.fromkeys(selected, (SIZE,)), Options(ROOT, tmp_path), {})
        run.measure()
        found.append(run.datasets["scenes"])
    assert len(set(found)) == 1
