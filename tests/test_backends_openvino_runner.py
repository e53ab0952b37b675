"""The two graphs in OpenVINO: caches that keep their length, and a step kept from AMX beside an encoder that has it."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from exported import briefly_calibrated, pictures, same_as_transformers

from vlmgate.artefacts import build_artefact, cannot_run, load_artefact
from vlmgate.backends import openvino_runner
from vlmgate.backends.openvino import executed
from vlmgate.backends.openvino_runner import FILES, ISA, Runner, kept_to
from vlmgate.spec import Model, Variant, VlmgateError
from vlmgate.variants import VARIANTS

FP32, INT8 = Variant("fp32-openvino", backend="openvino"), VARIANTS["openvino-int8"]
pytestmark = pytest.mark.skipif(bool(cannot_run(INT8)), reason=cannot_run(INT8))
AMX = bool(torch.cpu.get_capabilities().get("amx_tile"))
LEVEL = "AVX512_CORE_BF16"
found = kept_to.__wrapped__  # without what it remembers


@pytest.fixture(scope="module")
def artefact(tiny_checkpoint: Path, tiny_model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny INT8 artefact."""
    folder = tmp_path_factory.mktemp("int8") / "a"
    build_artefact(tiny_model, briefly_calibrated(INT8), tiny_checkpoint, folder)
    return folder


def test_caches_that_are_full_get_more_room(
    tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_artefact(tiny_model, FP32, tiny_checkpoint, tmp_path / "a")
    monkeypatch.setattr(openvino_runner, "ROOM", 3)
    same_as_transformers(load_artefact(tmp_path / "a"), tiny_checkpoint, tiny_model)


def test_caches_keep_their_length_from_token_to_token(artefact: Path) -> None:
    runner = load_artefact(artefact).model
    runner.look(np.zeros((1, 3, runner.graphs["side"], runner.graphs["side"]), np.float32))
    for position in range(openvino_runner.ROOM + 1):
        runner.step(np.array([runner.graphs["start"]]), position)
        room = openvino_runner.ROOM * (1 if position < openvino_runner.ROOM else 2)
        assert {past.shape[2] for past in runner.past} == {room}


def said(runner: Runner, pixels: np.ndarray, tokens: int = 6) -> np.ndarray:
    """Logits (tokens × B × vocabulary) of a greedy text."""
    runner.look(pixels)
    ids, found = np.full(len(pixels), runner.graphs["start"]), []
    for position in range(tokens):
        found.append(runner.step(ids, position))
        ids = found[-1].argmax(-1)
    return np.stack(found)


def noise(runner: Runner, images: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((images, 3, runner.graphs["side"], runner.graphs["side"])).astype(np.float32)


@pytest.fixture
def exact(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> Runner:
    """The graphs of the tiny model in float32."""
    build_artefact(tiny_model, FP32, tiny_checkpoint, tmp_path / "a")
    runner: Runner = load_artefact(tmp_path / "a").model
    return runner


def test_of_a_single_text_every_shape_is_known(exact: Runner) -> None:
    exact.look(noise(exact, 1))
    exact.step(np.array([exact.graphs["start"]]), 0)
    assert not [port for port in exact.steps[0].model_inputs if port.get_partial_shape().is_dynamic]
    assert list(exact.pairs) == [True]
    exact.look(noise(exact, 2))
    exact.step(np.array([exact.graphs["start"]] * 2), 0)
    assert len([port for port in exact.steps[0].model_inputs if port.get_partial_shape().is_dynamic]) > 2


def test_beams_of_a_single_image_compile_no_step_for_a_single_text(exact: Runner) -> None:
    exact.look(noise(exact, 1))
    exact.spread(3)
    exact.step(np.array([exact.graphs["start"]] * 3), 0)
    assert list(exact.pairs) == [False]


def test_a_step_in_int4_has_a_group_size(artefact: Path) -> None:
    """The group of their weights is that of what they are multiplied with, also where it is the default."""
    graphs, key = load_artefact(artefact).model.graphs, "DYNAMIC_QUANTIZATION_GROUP_SIZE"
    models = [openvino_runner.core().read_model(artefact / f"{name}.xml") for name in FILES]
    sizes = [Runner(models, graphs, given).settings[key] for given in ({}, {"step": "int4"}, {"step": "int4", "group_size": 32})]
    assert sizes == ["0", "64", "32"]


def test_a_text_is_the_same_alone_in_a_batch_and_after_others(exact: Runner) -> None:
    """An odd and an even number of tokens: the two requests of a single text change places, and both hold an earlier one."""
    pixels = noise(exact, 3)
    together = said(exact, pixels)
    for tokens in (5, 6, 6, 5):
        for number in (0, 2):
            alone = said(exact, pixels[number : number + 1], tokens)
            np.testing.assert_allclose(alone[:, 0], together[:tokens, number], atol=1e-4)
    np.testing.assert_allclose(said(exact, pixels), together, atol=1e-4)


def test_what_an_earlier_text_left_in_the_caches_is_not_looked_at(exact: Runner) -> None:
    pixels = noise(exact, 1)
    first = said(exact, pixels)
    for request in exact.steps:
        for cache in exact.gives[id(request)]:
            cache.data[:] = np.nan
    np.testing.assert_array_equal(said(exact, pixels), first)


def test_caches_and_image_of_a_single_text_are_told_once(exact: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, told = noise(exact, 1), []
    said(exact, pixels)
    request = type(exact.steps[0])
    whole = request.set_input_tensor
    monkeypatch.setattr(
        request, "set_input_tensor", lambda self, number, given: told.append(number) or whole(self, number, given)
    )
    said(exact, pixels)
    image = len(exact.graphs["caches"])
    assert Counter(number for number in told if number > 1) == Counter([*range(2 + image, 2 + 2 * image)] * 2)  # both requests


@pytest.mark.skipif(not AMX, reason="a processor without AMX has nothing to be kept from")
def test_the_step_is_kept_from_amx_and_the_encoder_is_not(artefact: Path) -> None:
    captioner = load_artefact(artefact)
    captioner.caption(pictures(1))
    amx = {graph: {"amx" in kernel for where, kind, kernel in executed(captioner.model) if where == graph} for graph in FILES}
    assert amx == {"encoder": {True, False}, "step": {False}}
    assert ISA not in os.environ


@pytest.mark.skipif(AMX, reason="this processor has AMX")
def test_without_amx_there_is_one_device() -> None:
    assert found(LEVEL) == "CPU"


def test_where_the_process_is_kept_from_amx_there_is_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ISA, LEVEL)
    assert found(LEVEL) == "CPU"
    assert os.environ[ISA] == LEVEL


def test_a_process_that_had_both_devices_ends_in_peace(artefact: Path) -> None:
    """Tensors of one plugin are held by requests of the other; whichever is unloaded first, nobody may fall over it."""
    code = (
        "import sys; from vlmgate.artefacts import load_artefact; from pathlib import Path; from exported import pictures\n"
        "captioner = load_artefact(Path(sys.argv[1])); print(captioner.caption(pictures(1)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
    done = subprocess.run([sys.executable, "-c", code, str(artefact)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[")


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*paths: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy", full)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_tile": True})
    with pytest.raises(VlmgateError, match="No space left on device; make room there, set TMPDIR"):
        found(LEVEL)
    assert ISA not in os.environ


def test_an_unknown_instruction_set_is_refused() -> None:
    with pytest.raises(VlmgateError, match="step_isa is 'AVX512'; known are AVX2, "):
        found("AVX512")
