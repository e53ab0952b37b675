"""`vlmgate caption` on a tiny model: captions, seconds, speed-ups, and bad images and names as sentences."""

from collections.abc import Callable
from pathlib import Path

import pytest
from project import Project

Run = Callable[..., tuple[int, str, str]]


def test_caption_prints_caption_seconds_and_speed_up(vlmgate: Run, project: Project) -> None:
    image = project.root / "fixtures" / "scenes" / "images" / "000000.jpg"
    options = ["--model", "tiny", "--variants", "slow", "fp16-cuda", "--threads=1", "--max-tokens=6", "--new-tokens=4"]
    status, out, err = vlmgate("caption", image, *options)
    assert status == 0 and err.startswith("vlmgate: fp16-cuda skipped: fp16-cuda needs an NVIDIA GPU with CUDA")
    head, columns, _, *rows = out.splitlines()
    assert head == str(image) and columns.split() == ["variant", "caption", "time", "[s]", "for", "4", "tokens", "speed-up"]
    cells = {row.split()[0]: row.split()[1:] for row in rows if row}
    assert cells.keys() == {"fp32", "slow"}
    for words in cells.values():
        assert 1 <= len(words[:-2]) <= 6 and float(words[-2]) > 0 and words[-1].endswith("×")
    assert cells["fp32"][-1] == "1.00×" and cells["fp32"][:-2] == cells["slow"][:-2]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("cut", "is truncated or damaged"),
        (b"", "is empty (0 bytes); expected an image"),
        (b"some words", "is not an image, or its header is damaged"),
        (None, "does not exist; expected an image file"),
    ],
    ids=["truncated", "empty", "text", "missing"],
)
def test_a_bad_image_is_one_sentence(vlmgate: Run, project: Project, tmp_path: Path, content: bytes | str, sentence: str) -> None:
    good, bad = project.root / "fixtures" / "scenes" / "images" / "000000.jpg", tmp_path / "bad.jpg"
    if content is not None:
        bad.write_bytes(content if isinstance(content, bytes) else good.read_bytes()[:2000])
    status, out, err = vlmgate("caption", good, bad, "--model", "tiny")
    assert (status, out) == (4, "")
    assert err.startswith(f"vlmgate: {bad} {sentence}") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--model", "tyni"], "unknown model 'tyni'; did you mean tiny? Known: blip-base, blip-large, scene-blip, tiny"),
        (["--model", "tiny", "--variants", "int8"], "unknown variant 'int8'; did you mean int8-dynamic, int8-dynamic-rows, "),
    ],
)
def test_unknown_names_of_caption(vlmgate: Run, options: list[str], sentence: str) -> None:
    status, out, err = vlmgate("caption", "fixtures/scenes/images/000000.jpg", *options)
    assert (status, out) == (4, "") and sentence in err and err.count("\n") == 1


def test_a_missing_checkpoint_is_one_sentence(vlmgate: Run, tmp_path: Path) -> None:
    image = "fixtures/scenes/images/000000.jpg"
    status, out, err = vlmgate("caption", image, "--model-path", tmp_path / "nothing", "--variants", "fp32")
    assert (status, out) == (4, "")
    where = f"scene-blip: no checkpoint folder {tmp_path / 'nothing'}"
    assert err == f"vlmgate: {where}; expected a folder in save_pretrained layout (config.json, *.safetensors)\n"


# judge
