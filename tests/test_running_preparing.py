"""Groups and their artefacts."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from fake_powercap import write_powercap
from jobs import NEW_TOKENS, ROOT
from project import Done
from sessions import CUDA, DIES, ENERGY, LATENCY, SECONDS, SIZE, SLOW, SUITE, Made, Place, arms, records, verdicts

from vlmgate.datasets import DATASETS
from vlmgate.meters import find_meter
from vlmgate.metrics import METRICS
from vlmgate.models import MODELS
from vlmgate.running import Options, Session, preparing
from vlmgate.running.cache import entries, in_use
from vlmgate.running.group import RESERVE
from vlmgate.spec import Outcome, Run
from vlmgate.suite import load_suite
from vlmgate.variants import VARIANTS


def test_a_variant_that_cannot_be_prepared_is_left_out(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS, {"prepare": ["dies"]})
    run = place.session({SLOW: (LATENCY,), DIES: (LATENCY,)}, blocks=6)
    run.measure()
    assert answers.jobs["prepare"] == 2 and arms(run) == {"fp32": 6, "slow": 6, "placebo": 6}
    found = run.finish("left out")
    assert verdicts(found, SLOW)["time_per_caption"].outcome is Outcome.PASS
    assert verdicts(found, DIES)["time_per_caption"].outcome is Outcome.FAIL


def test_the_dataset_is_the_same_whatever_is_selected(place: Place, made: Callable[..., Made], tmp_path: Path) -> None:
    made(SECONDS)
    text = SUITE.format(blocks=6, new_tokens=NEW_TOKENS, models="[tiny]", floor=1)
    more = "      - {models: [scene-blip], variants: [fp32, pruned], datasets: [scenes], settings: {images: 6}}\n"
    (place.folder / "two.yaml").write_text(text.replace("thresholds:", f"{more}thresholds:"), encoding="utf-8")
    suite = load_suite(place.folder / "two.yaml", MODELS, VARIANTS, DATASETS, METRICS)
    found = []
    for chosen in ([SLOW], ["scene-blip/pruned/scenes"], [SLOW, "scene-blip/pruned/scenes"]):
        selects = partial(lambda chosen, case, question: case in chosen and question is SIZE, chosen)
        run = Session(suite, suite.tier("smoke"), selects, Options(ROOT, tmp_path), {})
        run.measure()
        found.append(run.datasets["scenes"])
    assert len(set(found)) == 1


def test_the_plan_of_workers_knows_what_was_free_on_the_gpu(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS)
    answers.gpu_free = 1.5e6 / RESERVE  # one arm of 1e6 bytes
    run = place.session({SLOW: (LATENCY,), CUDA: (LATENCY,)}, blocks=1)
    run.measure()
    assert answers.workers == [["fp32", "slow", "fp16-cuda", "placebo"]]  # one is on the host, and one on the GPU
    answers.gpu_free, answers.workers = 0.5e6, []
    run = place.session({SLOW: (LATENCY,), CUDA: (LATENCY,)}, blocks=1)
    run.measure()
    assert answers.workers == [["fp32", "slow", "placebo"], ["fp32", "fp16-cuda", "placebo"]]


def test_what_cannot_run_here_is_skipped_with_the_reason(whole: tuple[Run, list[str]]) -> None:
    run = whole[0]
    assert "fp16-cuda needs an NVIDIA GPU" in records(run)[CUDA].skip
    found = verdicts(run, CUDA)
    assert len(found) == 4
    assert all(v.outcome is Outcome.SKIP and "needs an NVIDIA GPU" in v.sentence for v in found.values())


def test_the_engine_that_packed_int8_is_recorded(first: Done) -> None:
    records = {record.variant: record for record in first.run.cases}
    (step,) = records["int8-dynamic"].recipe["steps"]
    assert step["parameters"]["engine"] == "" and records["int8-dynamic"].engine == torch.backends.quantized.engine
    assert records["fp32"].engine == "" == records["pruned"].engine


def test_nothing_half_made_stays_in_the_cache(whole: tuple[Run, list[str]], place: Place) -> None:
    assert whole and not list((place.folder / "cache").rglob("*.partial"))
    assert len(list((place.folder / "cache" / "artefacts" / "tiny").iterdir())) == 3


def test_the_cache_is_kept_to_its_size_and_never_loses_what_the_run_uses(
    tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, tiny_checkpoint)
    old = place.folder / "cache" / "artefacts" / "old" / "fp32-0123456789abcdef"
    old.mkdir(parents=True)
    (old / "model.safetensors").write_bytes(b"x")
    monkeypatch.setenv("VLMGATE_CACHE_SIZE", "0")
    lines: list[str] = []
    run = place.session({SLOW: (SIZE,)}, lines.append)
    run.measure()
    assert not old.exists() and any("cache: removed old/fp32" in line for line in lines)
    kept = {entry.variant for entry in entries(place.folder / "cache")}
    assert kept == {"fp32", "slow"}
    run.finish("trimmed")
    assert not any(in_use(entry) for entry in entries(place.folder / "cache"))


@pytest.mark.parametrize("there", [True, False], ids=["a meter", "no meter"])
def test_energy_is_measured_where_there_is_a_meter_and_else_skipped_with_the_reason(
    place: Place, made: Callable[..., Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    powercap = write_powercap(tmp_path) if there else tmp_path
    monkeypatch.setattr(preparing, "find_meter", partial(find_meter, powercap=powercap))
    answers = made(SECONDS)
    run = place.session({SLOW: (ENERGY, LATENCY)}, blocks=1)
    run.measure()
    assert [job["energy"] for job in answers.blocks] == ["cpu" if there else ""]
    skips = records(run.finish("energy"))[SLOW].skips
    if there:
        assert not skips and run.blocks[0].energy.keys() == run.blocks[0].times.keys() and run.blocks[0].idle_power == 10.0
    else:
        assert skips["energy"].startswith("this machine shows no energy counter") and not run.blocks[0].energy
