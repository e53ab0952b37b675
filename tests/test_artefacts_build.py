"""Artefacts: what is saved is what was prepared, it comes back the same, it is made once, and nobody sees half of one."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText

from vlmgate.artefacts import (
    CARD,
    Captioner,
    artefact_key,
    build,
    build_artefact,
    cannot_run,
    load_artefact,
    load_processor,
    load_reference,
    transform,
)
from vlmgate.backends import backend
from vlmgate.datasets import scenes
from vlmgate.datasets.draw import draw_scene
from vlmgate.models import family
from vlmgate.spec import Model, Step, Variant, VlmgateError
from vlmgate.variants import VARIANTS
from vlmgate.variants.cast import DTYPES

ROOT = Path(__file__).resolve().parents[1]
# those under torch.compile have tests of their own (test_variants_compiled.py, test_variants_torchao.py): it takes half a minute
RUNNABLE = [
    name
    for name, variant in VARIANTS.items()
    if variant.backend == "torch" and not cannot_run(variant) and not name.endswith("-compile")
]
SHRUNK = [name for name in RUNNABLE if name.startswith(("neurons", "heads", "layers"))]
DENSE = [name for name in ("fp32", "pruned", "bf16") if name in RUNNABLE]
HEAD, WORDS = "text_decoder.cls.predictions.decoder", "text_decoder.bert.embeddings.word_embeddings"


@pytest.fixture(scope="module")
def built(tiny_checkpoint: Path, tiny_model: Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Variant → (folder, exact metrics), of every variant that this machine can run."""
    root = tmp_path_factory.mktemp("artefacts")
    return {n: (root / n, build_artefact(tiny_model, tiny_variant(n), tiny_checkpoint, root / n)) for n in RUNNABLE}


def tiny_variant(name: str) -> Variant:
    """The variant at this size: half of two heads or layers go, as a quarter is none, and neurons by eights, as there are 64."""
    small = {"heads": {"amount": 0.5}, "layers": {"amount": 0.5}, "neurons": {"multiple": 8}}
    steps = (replace(step, parameters={**step.parameters, **small.get(step.recipe, {})}) for step in VARIANTS[name].steps)
    return replace(VARIANTS[name], steps=tuple(steps))


@pytest.fixture
def copied(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A checkpoint that a test may break."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))


def images(number: int = 3) -> list[Any]:
    return [draw_scene(scenes.sample_scene(seed))[0] for seed in range(number)]


def in_memory(checkpoint: Path, model: Model, variant: Variant) -> Captioner:
    """The prepared model that was never on disk."""
    loaded = load_reference(checkpoint, model)
    transform(loaded, model, variant)
    loaded = loaded.to(variant.device).eval()
    return Captioner(loaded, load_processor(checkpoint), family(model.family), variant.device, DTYPES[variant.dtype])


def linears(model: nn.Module) -> dict[str, nn.Linear]:
    return {name: module for name, module in model.named_modules() if type(module) is nn.Linear}


# --- What comes back


def test_every_variant_for_a_cpu_runs_here_unless_the_processor_cannot() -> None:
    here = {n: cannot_run(v) for n, v in VARIANTS.items() if v.device == "cpu" and v.backend == "torch"}
    assert {n: why for n, why in here.items() if why and not why.startswith("this processor has no")} == {}
    assert len([n for n, why in here.items() if not why]) > 20


@pytest.mark.parametrize("name", RUNNABLE)
def test_a_reloaded_artefact_gives_the_same_tokens_and_captions(
    built: dict[str, Any], tiny_checkpoint: Path, tiny_model: Model, name: str
) -> None:
    folder, exact = built[name]
    assert exact["reloads"] == 1.0
    assert exact["expected_bytes"] == exact["weight_bytes"], "every recipe of ours has a closed form"
    before, after = in_memory(tiny_checkpoint, tiny_model, tiny_variant(name)), load_artefact(folder)
    inputs = after.inputs(images())
    assert torch.equal(inputs["pixel_values"], before.inputs(images())["pixel_values"])
    assert inputs["pixel_values"].dtype == DTYPES[VARIANTS[name].dtype]
    assert torch.equal(before.tokens(inputs, least=9, most=9), after.tokens(inputs, least=9, most=9))
    captions = after.caption(images())
    assert captions == before.caption(images())
    assert len(captions) == 3


def test_variants_differ_from_the_reference(built: dict[str, Any]) -> None:
    """None of them is the reference under another name: the scores of the first token are not the same."""
    scores = {}
    for name, (folder, _) in built.items():
        captioner = load_artefact(folder)
        pixels = captioner.inputs(images(1))["pixel_values"]
        with torch.inference_mode():
            scores[name] = captioner.model.vision_model(pixels).last_hidden_state.float().cpu()
    for name in set(RUNNABLE) - {"fp32", "fp32-cuda", "int8-dynamic-text", "bnb-int8-text"}:
        assert not torch.equal(scores[name], scores["fp32"]), name


@pytest.mark.parametrize("name", RUNNABLE)
def test_an_artefact_is_safetensors_and_json_only(built: dict[str, Any], name: str) -> None:
    folder, exact = built[name]
    assert {file.suffix for file in folder.iterdir()} == {".json", ".safetensors"}
    for file in folder.glob("*.json"):
        json.loads(file.read_text(encoding="utf-8"))
    with safe_open(folder / "model.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    assert exact["weight_bytes"] == sum(value.numel() * value.element_size() for value in tensors.values())
    assert exact["size"] == sum(file.stat().st_size for file in folder.iterdir() if file.name != CARD)


@pytest.mark.parametrize("name", DENSE)
def test_a_dense_artefact_is_a_checkpoint_of_transformers_too(built: dict[str, Any], name: str) -> None:
    folder, _ = built[name]
    theirs, found = AutoModelForImageTextToText.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    assert not found["missing_keys"]
    assert not found["unexpected_keys"]
    ours = load_artefact(folder).model.state_dict()
    assert {value.dtype for value in theirs.parameters()} == {DTYPES[VARIANTS[name].dtype]}
    for key, value in theirs.state_dict().items():
        assert torch.equal(value, ours[key]), key


def test_a_reloaded_head_shares_its_matrix_with_the_embedding_unless_it_is_packed(built: dict[str, Any]) -> None:
    for name in DENSE:
        model = load_artefact(built[name][0]).model
        assert model.get_submodule(HEAD).weight is model.get_submodule(WORDS).weight, name
        assert sum(value.numel() for value in model.parameters()) == built[name][1]["parameters"]
    packed = load_artefact(built["int8-dynamic"][0]).model
    head, words = packed.get_submodule(HEAD).weight(), packed.get_submodule(WORDS).weight
    assert float((head.dequantize() - words).detach().abs().max()) <= head.q_scale() * 0.501


def test_quantizing_a_part_leaves_the_tie_of_the_other(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    step = VARIANTS["int8-dynamic"].steps[0]
    vision = Variant("int8-vision", (replace(step, parameters={**step.parameters, "parts": ("vision",)}),))
    exact = build_artefact(tiny_model, vision, tiny_checkpoint, tmp_path / "a")
    model = load_artefact(tmp_path / "a").model
    assert model.get_submodule(HEAD).weight is model.get_submodule(WORDS).weight
    reference = load_reference(tiny_checkpoint, tiny_model)
    text = {name: value for name, value in reference.state_dict().items() if name.startswith("text_decoder.")}
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in text.items())
    share = sum(m.weight.numel() for n, m in linears(reference).items() if n.startswith("vision_model.")) / exact["parameters"]
    assert exact["low_precision_share"] == pytest.approx(share, rel=1e-12)
    assert exact["reloads"] == 1.0


def test_zeros_of_pruning_survive_storage_and_quantization(
    built: dict[str, Any], tiny_checkpoint: Path, tiny_model: Model
) -> None:
    pruned, packed = load_artefact(built["pruned"][0]).model, load_artefact(built["pruned-int8"][0]).model
    for name, layer in linears(pruned).items():
        zeros = layer.weight == 0
        if name != HEAD:
            assert int(zeros.sum()) == round(0.3 * zeros.numel())
        assert bool((packed.get_submodule(name).weight().int_repr()[zeros] == 0).all()), name


def test_weights_are_in_memory_of_their_own(built: dict[str, Any], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(built["int8-dynamic"][0], tmp_path / "a"))
    one, two = load_artefact(folder), load_artefact(folder)
    expected = one.caption(images(1))
    assert not {v.data_ptr() for v in one.model.parameters()} & {v.data_ptr() for v in two.model.parameters()}
    (folder / "model.safetensors").write_bytes(b"\0" * (folder / "model.safetensors").stat().st_size)  # in place
    assert two.caption(images(1)) == expected


# --- Exact numbers


def test_the_reference_is_four_bytes_a_parameter(built: dict[str, Any], tiny_checkpoint: Path, tiny_model: Model) -> None:
    parameters = sum(value.numel() for value in load_reference(tiny_checkpoint, tiny_model).parameters())
    exact = built["fp32"][1]
    assert exact["parameters"] == parameters
    assert exact["weight_bytes"] == 4 * parameters
    assert (exact["bits_per_weight"], exact["low_precision_share"]) == (32.0, 0.0)
    assert exact["sparsity"] < 0.01
    kept = {name: numbers["parameters"] for name, (_, numbers) in built.items() if name not in SHRUNK}
    assert set(kept.values()) == {parameters}, "of the model it was made from"


@pytest.mark.parametrize("name", SHRUNK)
def test_structured_pruning_takes_out_parameters_and_bytes(built: dict[str, Any], name: str) -> None:
    folder, exact = built[name]
    wholes = {"int8": "int8-dynamic-tied", "nf4": "bnb-nf4"}
    kind = name.rpartition("-")[2]
    whole = built[wholes.get(kind, "fp32")][1]
    assert exact["parameters"] < whole["parameters"]
    assert exact["weight_bytes"] < whole["weight_bytes"]
    assert exact["size"] < whole["size"]
    if kind not in wholes:
        assert exact["weight_bytes"] == 4 * exact["parameters"]
        assert sum(value.numel() for value in load_artefact(folder).model.parameters()) == exact["parameters"]
    if not name.startswith("heads"):
        before, after = (AutoConfig.from_pretrained(built[n][0]).vision_config for n in ("fp32", name))
        assert (before.intermediate_size, before.num_hidden_layers) != (after.intermediate_size, after.num_hidden_layers)


def test_bfloat16_is_two_bytes_a_parameter(
    built: dict[str, Any], tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path
) -> None:
    (step,) = VARIANTS["bf16"].steps
    emulated = replace(VARIANTS["bf16"], steps=(replace(step, parameters={**step.parameters, "emulate": True}),))  # on any CPU
    exact, reference = build_artefact(tiny_model, emulated, tiny_checkpoint, tmp_path / "a"), built["fp32"][1]
    assert exact["weight_bytes"] * 2 == reference["weight_bytes"]
    assert (exact["bits_per_weight"], exact["low_precision_share"]) == (16.0, 0.0)


@pytest.mark.parametrize(("name", "scales"), [("int8-dynamic", "matrix"), ("int8-dynamic-embed", "row")])
def test_int8_is_one_byte_for_every_weight_of_the_promised_layers(
    built: dict[str, Any], tiny_checkpoint: Path, tiny_model: Model, name: str, scales: str
) -> None:
    reference = load_reference(tiny_checkpoint, tiny_model)
    head = reference.get_submodule(HEAD)
    layers = [m.weight for m in reference.modules() if type(m) is nn.Linear]
    tables = [m.weight for m in reference.modules() if isinstance(m, nn.Embedding)] if scales == "row" else []
    packed = sum(weight.numel() for weight in layers + tables)
    weights = built[name][1]["parameters"] + head.weight.numel() + head.bias.numel()  # quantizing unties the head
    overhead = (
        sum(16 for _ in layers) if scales == "matrix" else sum(4 * len(w) for w in layers) + sum(8 * len(w) for w in tables)
    )
    exact = built[name][1]
    assert exact["low_precision_share"] == pytest.approx(packed / weights, rel=1e-12)
    assert exact["weight_bytes"] == packed + 4 * (weights - packed) + overhead
    assert exact["bits_per_weight"] == pytest.approx(8 * exact["weight_bytes"] / weights, rel=1e-12)
    assert exact["size"] < built["fp32"][1]["size"]


def test_sparsity_is_the_share_of_zeros_of_all_linear_layers(
    built: dict[str, Any], tiny_checkpoint: Path, tiny_model: Model
) -> None:
    layers = linears(load_reference(tiny_checkpoint, tiny_model))
    zeros = sum(round(0.3 * layer.weight.numel()) for name, layer in layers.items() if name != HEAD)
    zeros += int((layers[HEAD].weight == 0).sum())  # the row of the padding token
    exact = built["pruned"][1]
    assert exact["sparsity"] == pytest.approx(zeros / sum(layer.weight.numel() for layer in layers.values()), rel=1e-12)
    assert exact["weight_bytes"] == built["fp32"][1]["weight_bytes"], "zeros are stored like any other value"
    both = built["pruned-int8"][1]
    assert both["sparsity"] >= exact["sparsity"]
    assert both["low_precision_share"] == built["int8-dynamic"][1]["low_precision_share"]


def test_an_artefact_that_comes_back_different_is_found_out(
    tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rounded(tensors: dict[str, torch.Tensor], path: Path, **more: Any) -> None:
        torch.manual_seed(3)
        save_file({name: torch.randn_like(value) for name, value in tensors.items()}, path, **more)

    monkeypatch.setattr(build, "save_file", rounded)
    assert build_artefact(tiny_model, VARIANTS["fp32"], tiny_checkpoint, tmp_path / "a")["reloads"] == 0.0


# --- Made once, never half


def test_an_artefact_is_made_once(built: dict[str, Any], tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    folder, exact = built["pruned"]
    stamps = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    again = build_artefact(tiny_model, VARIANTS["pruned"], tmp_path / "nowhere", folder)
    assert again == exact
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == stamps
    assert not list(folder.parent.glob("*.partial"))


def test_what_is_in_the_way_without_a_card_is_made_again(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "model.safetensors").write_bytes(b"half")
    (tmp_path / f"a.{os.getpid()}.partial").mkdir()  # of a killed process that had our id
    assert build_artefact(tiny_model, VARIANTS["fp32"], tiny_checkpoint, tmp_path / "a")["reloads"] == 1.0
    assert load_artefact(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_of_two_processes_the_slower_one_takes_what_is_there(
    tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = build._write_card

    def overtaken(folder: Path, *rest: Any) -> None:
        write(folder, *rest)
        shutil.copytree(folder, tmp_path / "a")  # the other one finishes just before we do
        (tmp_path / "a" / "other.json").write_text("{}")

    monkeypatch.setattr(build, "_write_card", overtaken)
    exact = build_artefact(tiny_model, VARIANTS["fp32"], tiny_checkpoint, tmp_path / "a")
    assert exact == json.loads((tmp_path / "a" / CARD).read_text(encoding="utf-8"))["exact"]
    assert (tmp_path / "a" / "other.json").exists(), "a folder that somebody may be reading is never taken away"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


FULL_THEN_KILLED = """\
import os, resource, signal, sys
from pathlib import Path
from vlmgate.artefacts import build
from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, Source, VlmgateError
from vlmgate.variants import VARIANTS
checkpoint, folder = Path(sys.argv[1]), Path(sys.argv[2])
model = Model("tiny", "blip", Source.LOCAL, str(checkpoint), BLIP_PARTS)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))  # no file may be bigger, as on a full disk
try:
    build.build_artefact(model, VARIANTS["fp32"], checkpoint, folder)
except VlmgateError as error:
    print(error, [path.name for path in folder.parent.iterdir()], flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
build._write_card = lambda *rest: os.kill(os.getpid(), signal.SIGKILL)  # all is written but the card
build.build_artefact(model, VARIANTS["fp32"], checkpoint, folder)
"""


def test_a_full_disk_is_a_sentence_and_a_killed_process_leaves_nothing_that_is_read(
    tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path
) -> None:
    folder = tmp_path / "cache" / "a"
    folder.parent.mkdir()
    command = [sys.executable, "-c", FULL_THEN_KILLED, str(tiny_checkpoint), str(folder)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.startswith(f"cannot write {folder}: "), done.stderr[-2000:]
    assert done.stdout.endswith("free some space or set VLMGATE_CACHE to another folder []\n")
    assert done.returncode == -9, done.stderr[-2000:]
    assert not folder.exists()
    assert build_artefact(tiny_model, VARIANTS["fp32"], tiny_checkpoint, folder)["reloads"] == 1.0
    assert load_artefact(folder).caption(images(1))


def test_a_step_that_fails_leaves_nothing(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    for step in (Step("cast", {"dtype": "float32"}), Step("l1_prune", {"amount": 2.0}), Step("int8_dynamic", {"parts": ()})):
        parameters = {"per_channel": False, "embeddings": False, **step.parameters}
        with pytest.raises(VlmgateError, match=f"^{step.recipe}: "):
            build_artefact(tiny_model, Variant("x", (replace(step, parameters=parameters),)), tiny_checkpoint, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VlmgateError, match=r"^cannot write .*; free some space or set VLMGATE_CACHE to another folder$"):
        build_artefact(tiny_model, VARIANTS["fp32"], tiny_checkpoint, tmp_path / "file" / "a")


def test_the_key_holds_all_that_an_artefact_depends_on(copied: Path, tiny_checkpoint: Path, tiny_model: Model) -> None:
    def key(model: Model, variant: Variant, checkpoint: Path) -> str:
        return json.dumps(artefact_key(model, variant, checkpoint), sort_keys=True, default=list)

    pruned = VARIANTS["pruned"]
    same = key(tiny_model, pruned, tiny_checkpoint)
    assert key(tiny_model, replace(pruned, about="other words"), tiny_checkpoint) == same
    assert key(replace(tiny_model, name="other"), pruned, copied) == same
    harder = Variant("pruned", (Step("l1_prune", {**pruned.steps[0].parameters, "amount": 0.4}),))
    others = [key(tiny_model, harder, tiny_checkpoint), key(replace(tiny_model, parts={"text": ()}), pruned, tiny_checkpoint)]
    (copied / "processor_config.json").write_text((copied / "processor_config.json").read_text().replace("32", "48"))
    others.append(key(tiny_model, pruned, copied))
    save_file({name: value * 2 for name, value in load_file(copied / "model.safetensors").items()}, copied / "model.safetensors")
    others.append(key(tiny_model, pruned, copied))
    assert len({same, *others}) == 5


@pytest.mark.parametrize("library", ["torch", "transformers", "safetensors"])
def test_the_key_changes_with_each_library(
    library: str, tiny_checkpoint: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = artefact_key(tiny_model, VARIANTS["pruned"], tiny_checkpoint)
    monkeypatch.setattr(
        artefact_key.__globals__[library], "__version__", "0.0.1"
    )  # the module that it reads, whoever loads it anew
    assert artefact_key(tiny_model, VARIANTS["pruned"], tiny_checkpoint) != before


def test_the_key_changes_with_the_runtime(tiny_checkpoint: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    before = artefact_key(tiny_model, VARIANTS["onnx-fp32"], tiny_checkpoint)
    monkeypatch.setattr(backend("onnx"), "versions", lambda: {"onnxruntime": "0.0.1"})
    assert artefact_key(tiny_model, VARIANTS["onnx-fp32"], tiny_checkpoint) != before


# --- What cannot run, and what cannot be loaded


def test_a_variant_for_cuda_needs_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("fp16-cuda", "fp32-cuda"):
        assert cannot_run(VARIANTS[name]).startswith(f"{name} needs an NVIDIA GPU with CUDA; torch {torch.__version__} sees none")
    assert cannot_run(VARIANTS["fp32"]) == ""


NEEDS = {  # ends or parts of names → what a machine that has nothing but torch without INT8 engines lacks
    "-cuda": "needs an NVIDIA GPU with CUDA; torch ",
    "-compile": "torch.compile needs a C++ compiler (g++, clang++, c++), and none is installed: apt install g++",
    "bnb-": "needs bitsandbytes: pip install 'vlmgate[bnb]'",
    "-nf4": "needs bitsandbytes: pip install 'vlmgate[bnb]'",
    "torchao-": "needs torchao: pip install 'vlmgate[torchao]'",
    "onnx-": "needs onnxruntime: pip install 'vlmgate[onnx]'",
    "openvino-": "needs openvino: pip install 'vlmgate[openvino]'",
    "bf16": "this processor has no bfloat16 instructions",
    "int8": "no INT8 engine (torch.backends.quantized.supported_engines is empty on this machine)",
}
ELSEWHERE = ("torchao-", "onnx-", "openvino-")  # whose INT8 and bfloat16 are not torch's
ANYWHERE = ("fp32", "fp16", "pruned", "pruned-2of4", "neurons-30", "heads-25", "layers-25")


@pytest.mark.parametrize("name", VARIANTS)
def test_everything_that_a_variant_needs_is_said_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("bnb", "torchao", "artefact"):
        monkeypatch.setattr(f"vlmgate.variants.{module}.find_spec", lambda name: None)
    for module in ("onnx", "openvino"):
        monkeypatch.setattr(f"vlmgate.backends.{module}.find_spec", lambda name: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch._C, "_supported_qengines", lambda: [0])  # torch's own code for "none"
    monkeypatch.setattr("vlmgate.variants.cast.has_bfloat16", lambda: False)
    monkeypatch.setenv("PATH", "/nowhere")
    own = {key: words for key, words in NEEDS.items() if key in name}
    if name.startswith(("bnb-", *ELSEWHERE)):
        own = {key: words for key, words in own.items() if key not in ("bf16", "int8")}
    why = cannot_run(VARIANTS[name])
    assert {words for words in NEEDS.values() if words in why} == set(own.values()), why
    assert (why == "") is (name in ANYWHERE)


def test_an_unknown_part_is_an_error_even_beside_a_known_one(tiny_checkpoint: Path, tiny_model: Model) -> None:
    loaded = load_reference(tiny_checkpoint, tiny_model)
    with pytest.raises(VlmgateError, match="x: l1_prune names the part 'txet'; tiny has vision, text"):
        transform(loaded, tiny_model, Variant("x", (Step("l1_prune", {"parts": ("vision", "txet"), "amount": 0.3}),)))
