"""The Python API: three lines from a model to a folder and back, and a whole run without pytest."""

import json
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from project import ROOT, SMALLEST, Project, write_baseline

import vlmgate
from vlmgate.judge.missing import MISSING
from vlmgate.record import fingerprint, read_run
from vlmgate.spec import Outcome, Step, Variant, VlmgateError
from vlmgate.variants import VARIANTS


@pytest.fixture
def home(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a user's project, as the current folder."""
    for name, value in project.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)
    return project.root


def test_prepared_saved_and_loaded_captions_are_the_same(home: Path, tmp_path: Path) -> None:
    image = home / "fixtures" / "scenes" / "images" / "000000.jpg"
    model = vlmgate.prepare("tiny", "int8-dynamic", threads=1)
    folder = model.save(tmp_path / "shipped")
    again = vlmgate.load(folder)
    from PIL import Image

    assert again.caption([image, Image.open(image)], max_tokens=6) == model.caption([str(image)], max_tokens=6) * 2
    assert again.exact == model.exact and again.exact["reloads"] == 1.0
    assert (folder / "README.md").read_text(encoding="utf-8").startswith("# tiny, int8-dynamic\n")


def test_a_run_without_pytest(home: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    run = vlmgate.run("default", cases="tiny/pruned/*", questions=["size", "quality"], results=tmp_path, progress=lines.append)
    assert run.status == "complete" and lines
    assert {(v.case, v.metric, v.outcome) for v in run.verdicts} == {
        ("tiny/pruned/scenes", "parameters", Outcome.PASS),
        ("tiny/pruned/scenes", "agreement", Outcome.FAIL),
    }
    (folder,) = tmp_path.iterdir()
    assert read_run(folder) == run and {file.name for file in folder.iterdir()} >= {"run.json", "comparison.md", "comparison.csv"}


def test_a_case_that_vanished_fails_unless_others_were_chosen(home: Path, project: Project, tmp_path: Path) -> None:
    old = "tiny/old/scenes"
    write_baseline(tmp_path / "baselines", fingerprint(1).name, old)
    suite = project.suite("small.yaml", SMALLEST)

    def run(cases: str, results: str) -> tuple[bool, list[tuple[str, Outcome]]]:
        where = {"results": tmp_path / results, "baselines": tmp_path / "baselines"}
        made = vlmgate.run(suite=suite, cases=cases, progress=lambda line: None, **where)
        return made.whole, [(v.case, v.outcome) for v in made.verdicts if v.metric == MISSING]

    assert run("*", "whole") == (True, [(old, Outcome.FAIL)])
    assert run("tiny/fp32/*", "chosen") == (False, [])
    assert run("tiny/old/*", "alone") == (False, [(old, Outcome.FAIL)])


def test_mistakes_are_sentences_and_leave_nothing(home: Path, tmp_path: Path) -> None:
    with pytest.raises(VlmgateError, match="unknown tier 'smok'"):
        vlmgate.run("smok", results=tmp_path)
    with pytest.raises(VlmgateError, match=r"no case of tier default matches 'blop/\*'"):
        vlmgate.run(cases="blop/*", results=tmp_path)
    with pytest.raises(VlmgateError, match="unknown variant 'int9'"):
        vlmgate.prepare("tiny", "int9")
    with pytest.raises(VlmgateError, match="is not an artefact"):
        vlmgate.load(tmp_path)
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = vlmgate.lod  # type: ignore[attr-defined]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "library", "place"),
    [("bnb-nf4", "bitsandbytes", "variants.bnb"), ("onnx-fp32", "onnxruntime", "backends.onnx")],
)
def test_a_library_that_is_missing_is_said_in_a_sentence(
    name: str, library: str, place: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(library)
    folder = vlmgate.prepare("tiny", name, threads=1).folder
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(f"vlmgate.{place}.find_spec", lambda _: None)
    with pytest.raises(VlmgateError, match=f"^{folder} cannot be loaded here: needs {library}: pip install 'vlmgate"):
        vlmgate.load(folder)


def with_card(folder: Path, **changes: Any) -> Path:
    """The artefact in ``folder`` with another card."""
    card = json.loads((folder / "vlmgate.json").read_text(encoding="utf-8"))
    (folder / "vlmgate.json").write_text(json.dumps({**card, **changes}), encoding="utf-8")
    return folder


def test_what_this_machine_lacks_is_said_in_a_sentence(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = vlmgate.prepare("tiny", "int8-dynamic", threads=1)
    elsewhere = with_card(made.save(tmp_path / "elsewhere"), engine="of another processor")
    with pytest.raises(VlmgateError, match="elsewhere cannot be loaded here: torch has no INT8 engine 'of another processor' on"):
        vlmgate.load(elsewhere)
    own = with_card(made.save(tmp_path / "own"), variant=asdict(Variant("x", (Step("mine", {}),))))
    with pytest.raises(VlmgateError, match=r"^unknown recipe 'mine'; .*; one of your own needs its plugin, named as plugins"):
        vlmgate.load(own)
    gpu = with_card(made.save(tmp_path / "gpu"), variant=asdict(VARIANTS["fp16-cuda"]))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.nn.Module.to", lambda *_: 1 / 0)  # as on a machine without one
    with pytest.raises(VlmgateError, match="gpu cannot be loaded here: gpu needs an NVIDIA GPU with CUDA; torch "):
        vlmgate.load(gpu)


def test_importing_vlmgate_loads_no_library() -> None:
    program = "import sys, vlmgate; print(sorted({'torch', 'numpy', 'yaml', 'PIL'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = (text for text in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "vlmgate.prepare" in text)
    example = example.replace('"shipped"', repr(str(tmp_path / "shipped")))
    done = subprocess.run([sys.executable, "-c", example], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == second and len(first.split()) > 4  # the trained fixture model says a sentence, before and after
