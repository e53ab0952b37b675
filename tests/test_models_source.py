"""Where weights come from: a whole folder or one sentence, from the repository, a hub, a folder or a random seed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hub import COMMIT, REPOSITORY, serving
from safetensors.torch import load_file, save_file

from vlmgate.models import MODELS, blip
from vlmgate.models.source import check_checkpoint, checkpoint_folder, fingerprint, own_folders, weight_files, with_source
from vlmgate.spec import Model, Source, VlmgateError

ROOT = Path(__file__).resolve().parents[1]
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
RANDOM = Model("small", "blip", Source.RANDOM, "small", {})


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint that a test may break."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))


def shard(folder: Path) -> Path:
    """Split the weights of a checkpoint into two files with an index, as save_pretrained does for big ones."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    places = {name: f"model-0000{1 + n % 2}-of-00002.safetensors" for n, name in enumerate(tensors)}
    for file in set(places.values()):
        save_file({name: tensors[name] for name in tensors if places[name] == file}, folder / file, {"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder


# --- Which source


def test_a_path_goes_before_everything_else(tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in MODELS:
        own = with_source(MODELS[name], "hub", str(tiny_checkpoint))
        assert (own.source, own.location, own.revision) == (Source.LOCAL, str(tiny_checkpoint), "")
        assert (own.name, own.parts) == (name, MODELS[name].parts)
        assert checkpoint_folder(own, tmp_path, tmp_path) == tiny_checkpoint
    monkeypatch.chdir(tiny_checkpoint.parent)
    assert with_source(MODELS["blip-base"], None, "checkpoint").location == str(tiny_checkpoint), "workers start elsewhere"


def test_the_hub_takes_the_place_of_random_weights_and_fixtures_stay() -> None:
    hub = with_source(MODELS["blip-base"], "hub", None)
    assert (hub.source, hub.location) == (Source.HUB, "Salesforce/blip-image-captioning-base")
    assert with_source(MODELS["scene-blip"], "hub", None) == MODELS["scene-blip"]
    assert with_source(MODELS["blip-base"], None, None) == MODELS["blip-base"]
    assert with_source(MODELS["blip-base"], "random", None) == MODELS["blip-base"]


def test_folders_are_given_by_name() -> None:
    assert own_folders([], MODELS) == {}
    assert own_folders(["blip-base=a=b", "scene-blip=c"], MODELS) == {"blip-base": "a=b", "scene-blip": "c"}
    with pytest.raises(VlmgateError, match=r"^--model-path blip-base: expected NAME=DIR with NAME one of scene-blip, "):
        own_folders(["scene-blip=c", "blip-base"], MODELS)
    with pytest.raises(VlmgateError, match=r"^--model-path: unknown model 'blip-bse'; did you mean blip-base"):
        own_folders(["blip-bse=a"], MODELS)


def test_a_fixture_lies_below_the_root(tiny_checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_checkpoint, tmp_path / "fixtures" / "models" / "scene-blip")
    assert checkpoint_folder(MODELS["scene-blip"], tmp_path, tmp_path) == tmp_path / "fixtures" / "models" / "scene-blip"
    with pytest.raises(VlmgateError, match=r"^scene-blip: no checkpoint folder .*elsewhere"):
        checkpoint_folder(MODELS["scene-blip"], tmp_path / "elsewhere", tmp_path)


# --- Broken folders


def cut_off(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", (folder / "model.safetensors").stat().st_size // 2)


def write(name: str, payload: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(payload) and None


def header(said: bytes) -> Callable[[Path], None]:
    return write("model.safetensors", len(said).to_bytes(8, "little") + said)


def remove(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink() for name in names] and None


def only_a_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def sharded_without_one(folder: Path) -> None:
    (shard(folder) / "model-00002-of-00002.safetensors").unlink()


def sharded_with_half_of_one(folder: Path) -> None:
    os.truncate(shard(folder) / "model-00001-of-00002.safetensors", 100_000)


BROKEN: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "no folder": (shutil.rmtree, ["no checkpoint folder", "save_pretrained layout"]),
    "no config": (remove("config.json"), ["lacks config.json", "save_pretrained layout"]),
    "config is no JSON": (write("config.json", b'{"model_type": '), ["config.json is not readable JSON", "save"]),
    "config is no text": (write("config.json", b"\xff\xfe\x00"), ["config.json is not readable JSON"]),
    "config is a list": (write("config.json", b"[]"), ["config.json holds list", "object was expected"]),
    "no processor": (remove("processor_config.json"), ["preprocessor_config.json", "processor.save_pretrained"]),
    "no vocabulary": (remove("tokenizer.json"), ["tokenizer.json", "vocab.txt", "processor.save_pretrained"]),
    "no weights": (remove("model.safetensors"), ["lacks model.safetensors"]),
    "only a pickle": (only_a_pickle, ["lacks model.safetensors", "pytorch_model.bin is a pickle", "never loaded", "convert"]),
    "cut off": (cut_off, ["model.safetensors is truncated", "bytes on disk", "promised", "copy it again"]),
    "too long": (lambda f: os.truncate(f / "model.safetensors", 10**6), ["truncated: 1000000 bytes on disk"]),
    "empty": (write("model.safetensors", b""), ["not a safetensors file or is cut off (0 bytes)"]),
    "a few bytes": (write("model.safetensors", b"\x01\x00"), ["cut off (2 bytes)"]),
    "garbage": (write("model.safetensors", bytes(range(7, 250)) * 20), ["not a safetensors file"]),
    "a web page": (write("model.safetensors", b"<!DOCTYPE html><html>not found</html>"), ["not a safetensors file"]),
    "header of noise": (header(b"\xff" * 64), ["damaged safetensors header"]),
    "header is no object": (header(b"[1, 2]"), ["damaged safetensors header"]),
    "header without offsets": (header(b'{"a": {"dtype": "F32"}}'), ["damaged safetensors header"]),
    "header with odd offsets": (header(b'{"a": {"data_offsets": 4}}'), ["damaged safetensors header"]),
    "header nested": (header(b"[" * 99_999), ["damaged safetensors header"]),
    "a shard is missing": (sharded_without_one, ["lacks model-00002-of-00002.safetensors"]),
    "a shard is cut off": (sharded_with_half_of_one, ["model-00001-of-00002.safetensors is truncated"]),
    "an index of nothing": (write("model.safetensors.index.json", b"{}"), ["index.json has no weight_map"]),
    "an odd index": (write("model.safetensors.index.json", b'{"weight_map": {"a": 1}}'), ["index.json has no weight_map"]),
    "a broken index": (write("model.safetensors.index.json", b"{"), ["index.json is not readable JSON"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_folder_is_one_sentence_that_names_the_file(folder: Path, name: str) -> None:
    damage, words = BROKEN[name]
    damage(folder)
    with pytest.raises(VlmgateError) as caught:
        checkpoint_folder(Model("mine", "blip", Source.LOCAL, str(folder), {}), folder.parent, folder.parent)
    message = str(caught.value)
    assert message.startswith("mine: "), message
    assert str(folder) in message
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_a_sharded_checkpoint_is_whole_with_all_its_files(folder: Path) -> None:
    before = fingerprint(folder, "mine")
    shard(folder)
    check_checkpoint(folder, "mine")
    assert [file.name[:11] for file in weight_files(folder, "mine")] == ["model-00001", "model-00002"]
    assert fingerprint(folder, "mine") != before


def test_the_fingerprint_follows_weights_and_config_and_nothing_else(folder: Path, tiny_checkpoint: Path) -> None:
    same = fingerprint(tiny_checkpoint, "mine")
    assert len(same) == 64
    (folder / "README.md").write_text("words")
    assert fingerprint(folder, "mine") == same
    payload = bytearray((folder / "model.safetensors").read_bytes())
    payload[-1] ^= 1
    (folder / "model.safetensors").write_bytes(payload)
    assert fingerprint(folder, "mine") != same
    shutil.copy(tiny_checkpoint / "model.safetensors", folder)
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    assert fingerprint(folder, "mine") != same


# --- Random weights


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A shape that is built at once; lists the folders it was built in."""
    monkeypatch.setitem(blip.SHAPES, "small", {"vision": SMALL, "text": SMALL | {"encoder_hidden_size": 32}})
    built: list[Path] = []
    build = blip.build_random
    monkeypatch.setattr(blip, "build_random", lambda location, folder: built.append(folder) or build(location, folder))
    return built


def left_over(cache: Path) -> list[str]:
    return [path.name for path in (cache / "random").iterdir() if path.name.endswith(".partial")]


def test_random_weights_are_built_once_and_used_again(small: list[Path], tmp_path: Path) -> None:
    first = checkpoint_folder(RANDOM, tmp_path, tmp_path / "cache")
    stamp = (first / "model.safetensors").stat().st_mtime_ns
    assert checkpoint_folder(RANDOM, tmp_path, tmp_path / "cache") == first
    assert (first / "model.safetensors").stat().st_mtime_ns == stamp
    assert len(small) == 1
    assert left_over(tmp_path / "cache") == []


def test_two_processes_that_build_at_once_end_with_one_whole_folder(
    small: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, final = blip.build_random, tmp_path / "random" / "small-1"

    def overtaken(location: str, folder: Path) -> None:
        build(location, folder)
        shutil.copytree(folder, final)  # the other process renames its own folder into place just before we do
        (final / "other").touch()

    monkeypatch.setattr(blip, "build_random", overtaken)
    assert checkpoint_folder(RANDOM, tmp_path, tmp_path) == final
    assert (final / "other").exists(), "a folder that somebody may be reading is never taken away"
    assert left_over(tmp_path) == []


def test_a_build_that_breaks_off_leaves_nothing_to_be_mistaken_for_a_checkpoint(
    small: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = blip.build_random

    def interrupted(location: str, folder: Path) -> None:
        build(location, folder)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(blip, "build_random", interrupted)
        checkpoint_folder(RANDOM, tmp_path, tmp_path)
    assert list((tmp_path / "random").iterdir()) == []
    assert checkpoint_folder(RANDOM, tmp_path, tmp_path).is_dir()


def test_a_cache_that_cannot_be_written_says_how_to_choose_another(small: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VlmgateError, match=r"^small: cannot write .*small-1: .*; free some space or set VLMGATE_CACHE"):
        checkpoint_folder(RANDOM, tmp_path, tmp_path / "file")


# --- The hub

FETCH = """\
import sys
from pathlib import Path
from vlmgate.models.source import checkpoint_folder
from vlmgate.spec import Model, Source, VlmgateError
try:
    print(checkpoint_folder(Model("tiny", "blip", Source.HUB, sys.argv[1], {}, sys.argv[2]), Path("."), Path(".")))
except VlmgateError as error:
    print(error)
    sys.exit(4)
"""


def fetch(home: Path, url: str, repository: str = REPOSITORY, revision: str = "main", **more: str) -> tuple[int, str]:
    """Status and words of a process of its own: the client reads its settings when it is imported."""
    plain = {
        key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING")) and "proxy" not in key.lower()
    }
    env = {**plain, "HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONPATH": str(ROOT), **more}
    command = [sys.executable, "-c", FETCH, repository, revision]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout.strip()


def test_a_checkpoint_is_fetched_from_a_hub_and_then_needs_none(folder: Path, tmp_path: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    with serving(folder) as hub:
        status, where = fetch(tmp_path / "home", hub.url)
        assert status == 0, where
        asked = [line for line in hub.asked if line.startswith("GET") and "/resolve/" in line]
    fetched = Path(where)
    assert fetched.name == COMMIT
    assert (fetched / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert not any(line.endswith(".bin") for line in asked), "pickles are not even fetched"
    assert fingerprint(fetched, "tiny") == fingerprint(folder, "tiny")
    assert fetch(tmp_path / "home", hub.url) == (0, where), "the server is gone, the cache is there"
    assert fetch(tmp_path / "home", hub.url, HF_HUB_OFFLINE="1") == (0, where)


def test_what_a_hub_does_not_have_is_named(folder: Path, tmp_path: Path) -> None:
    with serving(folder) as hub:
        status, said = fetch(tmp_path, hub.url, "no/such-model")
        assert (status, said) == (4, "tiny: the hub has no no/such-model at revision main, or it needs a login (hf auth login)")
        status, said = fetch(tmp_path, hub.url, revision="v9")
        assert status == 4
        assert said.startswith(f"tiny: could not fetch {REPOSITORY} at revision v9 (RevisionNotFoundError"), said
        status, said = fetch(tmp_path, hub.url, "not/a/name")
        assert status == 4
        assert said.startswith("tiny: could not fetch not/a/name"), said


def test_without_a_network_the_sentence_says_what_to_pass(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with serving(tiny_checkpoint) as hub:
        switched_off = fetch(tmp_path, hub.url, HF_HUB_OFFLINE="1")
        assert hub.asked == []
    closed = fetch(tmp_path, hub.url)  # nobody listens on that port any more
    for status, said in (switched_off, closed):
        assert status == 4
        assert said.startswith(f"tiny: no network and {REPOSITORY} at revision main is not in the hub cache"), said
        assert said.endswith("pass --model-path tiny=DIR")


def test_a_transfer_that_breaks_off_is_never_taken_for_a_checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with serving(tiny_checkpoint, cut="model.safetensors") as hub:
        status, said = fetch(tmp_path, hub.url)
        assert status == 4
        assert said.startswith(f"tiny: could not fetch {REPOSITORY} at revision main"), said
        assert "\n" not in said
    status, said = fetch(tmp_path, hub.url, HF_HUB_OFFLINE="1")
    assert status == 4, said
    with serving(tiny_checkpoint) as hub:
        assert fetch(tmp_path, hub.url)[0] == 0, "the next attempt goes on"


def test_hub_and_local_folder_take_the_same_path(folder: Path, tmp_path: Path) -> None:
    """A folder that was fetched is checked like any other: what the hub holds may be broken too."""
    (folder / "tokenizer.json").unlink()
    with serving(folder) as hub:
        status, said = fetch(tmp_path / "home", hub.url)
    assert (status, "processor.save_pretrained" in said) == (4, True), said
    local = replace(RANDOM, source=Source.LOCAL, location=str(folder))
    with pytest.raises(VlmgateError, match=r"processor\.save_pretrained"):
        checkpoint_folder(local, tmp_path, tmp_path)


def test_local_without_a_folder_says_what_to_add(tiny_checkpoint: Path) -> None:
    with pytest.raises(VlmgateError, match="--model-source local: blip-base has no folder; add its folder with --model-path"):
        with_source(MODELS["blip-base"], "local", None)
    assert with_source(MODELS["blip-base"], "local", str(tiny_checkpoint)).source is Source.LOCAL
    assert with_source(MODELS["scene-blip"], "local", None) == MODELS["scene-blip"]
