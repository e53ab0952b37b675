"""`vlmgate ceilings` and `vlmgate work` on crumbs, and the page that shows a share of the roofline from what they stored."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from record_samples import make_run, record
from test_report_results import line

from vlmgate.record import fingerprint, write_run
from vlmgate.spec import Block, CaseRecord
from vlmgate.variants import VARIANTS

Run = Callable[..., tuple[int, str, str]]
CRUMBS = ["--sizes", "32", "--megabytes", "1", "--seconds", "0.001", "--rounds", "2"]


def case(variant: str, model: str = "tiny") -> CaseRecord:
    reference = "" if variant == "fp32" else f"{model}/fp32/scenes"
    recipe = json.loads(json.dumps(asdict(VARIANTS[variant])))
    return record(variant, id=f"{model}/{variant}/scenes", model=model, reference=reference, recipe=recipe)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A run of the tiny model on this machine, written by hand."""
    cases = case("fp32"), case("bf16"), case("fp16-cuda")
    times = {"fp32": ((0.4,),), "bf16": ((0.2,),)}
    block = Block("tiny/scenes", 0, 7, (1,), times, {"fp32": (0.1,), "bf16": (0.1,)}, {}, (0.01,), 1.0)
    run = replace(make_run(*cases, blocks=(block,), verdicts=(), failures=()), environment=fingerprint(1))
    write_run(run, tmp_path / "made")
    return tmp_path


def test_ceilings_and_work_give_the_page_its_shares(vlmgate: Run, results: Path, tmp_path: Path) -> None:
    where, page = ["--results", results], tmp_path / "page.md"
    assert vlmgate("results", "made", "--out", page, *where)[0] == 0
    assert line(page.read_text(encoding="utf-8"), "bf16")[3] == "—" and "not known" in page.read_text(encoding="utf-8")

    status, out, err = vlmgate("ceilings", *CRUMBS, *where)
    assert status == 0 and "FP32 [GFLOP/s]" in out and "vlmgate: round 2 of 2, 2 threads: int8\n" in err
    one, two = json.loads((results / "ceilings.json").read_text())["ceilings"]
    rates = one["rates"]
    assert rates["fp32"] > 0 and (one["threads"], two["threads"]) == (1, 2)
    assert all(two["rates"][name] >= rate for name, rate in rates.items())  # which crumbs alone would not give

    status, out, _ = vlmgate("work", "made", *where)
    assert status == 0 and "tiny/bf16/scenes" in out and "it runs on cuda" in out
    told = json.loads((results / "made" / "work.json").read_text())["cases"]["tiny/fp32/scenes"]

    assert vlmgate("results", "made", "--out", page, *where)[0] == 0
    text = page.read_text(encoding="utf-8")
    floor = sum(
        each["times"] * max(each["operations"]["fp32"] / rates["fp32"], each["bytes"] / rates["bandwidth"])
        for each in told["phases"]
    )
    assert float(line(text, "fp32", 1)[3]) == pytest.approx(100 * floor / 0.4, rel=0.01)
    assert "## Ceilings" in text and "Work not known: tiny/fp16-cuda/scenes (it runs on cuda" in text


def test_a_model_that_the_suite_does_not_know(vlmgate: Run, tmp_path: Path) -> None:
    write_run(make_run(case("fp32", "nobody")), tmp_path / "made")
    status, _, err = vlmgate("work", "made", "--results", tmp_path)
    assert status == 4 and "unknown model 'nobody'" in err


def test_a_model_from_a_folder_is_counted_as_it_is_there(
    vlmgate: Run, results: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    def operations(*options: object) -> float:
        status, _, err = vlmgate("work", "made", "--results", results, *options)
        assert (status, err) == (0, "")
        told = json.loads((results / "made" / "work.json").read_text())["cases"]["tiny/fp32/scenes"]
        return float(told["phases"][0]["operations"]["fp32"])

    config = json.loads((tiny_checkpoint / "config.json").read_text())
    config["vision_config"]["num_hidden_layers"] *= 2
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "config.json").write_text(json.dumps(config))
    assert operations("--model-path", f"tiny={tmp_path / 'deep'}") > 1.3 * operations()  # of vision twice as deep
    for words, said in (("tiny", "--model-path tiny: expected NAME=DIR"), ("tyni=x", "--model-path: unknown model 'tyni'")):
        status, _, err = vlmgate("work", "made", "--results", results, "--model-path", words)
        assert status == 4 and said in err
