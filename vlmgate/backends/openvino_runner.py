"""Two graphs in OpenVINO: the devices they are compiled for, and their calls.

Sources: https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/cpu-device.html
and, for the instruction sets, https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html
"""

import ctypes
import functools
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from vlmgate.spec import VlmgateError

FILES = ("encoder", "step")
PLUGIN = "libopenvino_intel_cpu_plugin.so"
ISA = "ONEDNN_MAX_CPU_ISA"
ISAS = ("AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI", "AVX512_CORE_BF16", "AVX512_CORE_FP16")  # values of it below AMX
GROUP = 64  # weights in INT4 that share a scale, and activations
ROOM = 32  # tokens that caches have room for at first


def floats(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Graph → type in which its float nodes compute, f32 or bf16."""
    plain = str(parameters.get("precision", "f32"))
    return {"encoder": plain, "step": str(parameters.get("step_precision", plain))}


def group_size(parameters: Mapping[str, Any]) -> int:
    """How many activations share a scale that OpenVINO finds at run time, and weights in INT4; 0: no such activations."""
    return int(parameters.get("group_size", GROUP if parameters.get("step") == "int4" else 0))


def device(graph: str, parameters: Mapping[str, Any]) -> str:
    """Name of the device that a graph is compiled for."""
    return kept_to(str(parameters["step_isa"])) if graph == "step" and "step_isa" in parameters else "CPU"


@functools.cache
def core() -> Any:
    """OpenVINO's core, one for the process."""
    import openvino

    return openvino.Core()


@functools.cache
def kept_to(isa: str) -> str:
    """Name of a device that is the CPU with no more than this instruction set, one of ``ISAS``.

    oneDNN reads ``ONEDNN_MAX_CPU_ISA`` once, and OpenVINO's CPU plugin has oneDNN inside. So the device is the plugin loaded a
    second time, from a copy of its file. Where the variable is set, or the processor has no AMX, it is the CPU itself. Neither
    plugin is ever unloaded: requests of one hold tensors of the other, whose end would call code that is gone.

    Raises:
        VlmgateError: an unknown instruction set, or the file cannot be copied.
    """
    import openvino

    if isa not in ISAS:
        raise VlmgateError(f"step_isa is {isa!r}; known are {', '.join(ISAS)}")
    if ISA in os.environ or not torch.cpu.get_capabilities().get("amx_tile"):
        return "CPU"
    plugin = Path(openvino.__file__).parent / "libs" / PLUGIN
    core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")  # makes its oneDNN read the variable, while it is not set
    name = f"CPU_{isa}"
    try:
        with TemporaryDirectory() as folder:
            copy = shutil.copy(plugin, folder)
            for each in (plugin, copy):
                ctypes.CDLL(str(each))
            os.environ[ISA] = isa
            core().register_plugin(str(copy), name)
            core().get_property(name, "OPTIMIZATION_CAPABILITIES")
    except OSError as error:
        raise VlmgateError(
            f"{plugin} ({plugin.stat().st_size / 1e6:.0f} MB) could not be copied to the folder for temporary files: {error}; "
            f"make room there, set TMPDIR to another folder, or set {ISA}={isa} for the whole process"
        ) from error
    finally:
        os.environ.pop(ISA, None)
    return name


def _run(request: Any, *inputs: np.ndarray) -> None:
    """Call a graph with its first inputs; the others stay. OpenVINO's `infer` also makes a dictionary of all that a graph gives,
    and a step of BLIP-base took 5 % longer with it."""
    import openvino

    for number, value in enumerate(inputs):
        request.set_input_tensor(number, openvino.Tensor(value))
    request.start_async()
    request.wait()


def _rows(tensors: Iterable[Any], index: np.ndarray) -> list[Any]:
    """Copies of these rows of each tensor."""
    import openvino

    return [openvino.Tensor(each.data[index]) for each in tensors]


def _empty(caches: Iterable[tuple[int, int]], rows: int) -> list[Any]:
    """Caches of (heads, size) each with room for ``ROOM`` tokens of so many texts."""
    import openvino

    return [openvino.Tensor(np.zeros((rows, heads, ROOM, size), np.float32)) for heads, size in caches]


def _twice(past: Any) -> Any:
    """The cache (B × heads × n × size) with room for 2n tokens."""
    import openvino

    return openvino.Tensor(np.concatenate([past.data, np.zeros_like(past.data)], 2))


class Runner:
    """Both graphs compiled for the CPU.

    Two requests of the step take turns, so that the caches which one gave are what the other reads, without a copy. Caches have
    room for ``ROOM`` tokens and twice as many when it is full: with another length at each token, OpenVINO would plan every
    node of the step anew each time. A single text has a step of its own in which every shape is known (compiled when it is first
    needed, as that for several texts or beams is); once its caches are full, it goes on in the other one.
    """

    def __init__(self, models: list[Any], graphs: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        from openvino import properties

        self.floats, self.graphs, self.parameters = floats(parameters), graphs, parameters
        self.settings = {
            properties.inference_num_threads(): torch.get_num_threads(),
            properties.hint.performance_mode(): properties.hint.PerformanceMode.LATENCY,
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": str(group_size(parameters)),
        }
        encoder, self.model = models
        self.encoder = self._compiled("encoder", encoder).create_infer_request()
        self.pairs: dict[bool, list[Any]] = {}  # for a single text or not → two requests of the step
        self.gives: dict[int, list[Any]] = {}  # id of a request whose shapes are known → the caches that it always gives
        self.reads: dict[int, list[Any]] = {}  # id of a request → the caches that it was last told to read

    def _compiled(self, graph: str, model: Any) -> Any:
        from openvino import properties

        kind = {properties.hint.inference_precision(): self.floats[graph]}
        return core().compile_model(model, device(graph, self.parameters), self.settings | kind)

    def look(self, pixels: np.ndarray) -> None:
        """Run the encoder on pixels (B × 3 × side × side) and forget all earlier tokens."""
        _run(self.encoder, pixels)
        self.seen = self.image()
        self.past: list[Any] = []

    def image(self) -> list[Any]:
        """Keys and values of the images that the encoder saw last, a row an image."""
        return [self.encoder.get_output_tensor(number) for number in range(len(self.graphs["caches"]))]

    def begin(self) -> None:
        """Make ready for the first step, with empty caches; the step does it where nobody else has."""
        rows = self.seen[0].shape[0]
        self._go_on(alone=rows == 1)
        own = self.gives.get(id(self.steps[1]), [])
        for cache in own:
            cache.data[:] = 0.0  # nothing behind the last token counts, but nothing times what is no number would
        self.past = own or _empty(self.graphs["caches"], rows)

    def _go_on(self, alone: bool) -> None:
        """Let the steps for a single text, or those for several, read keys and values of the image from now on."""
        if alone not in self.pairs:
            self.pairs[alone] = self._pair(alone)
        self.steps = self.pairs[alone]
        for request in self.steps:
            for number, given in enumerate(self.seen, 2 + len(self.seen)):
                request.set_input_tensor(number, given)

    def _pair(self, alone: bool) -> list[Any]:
        """Two requests of the step, compiled for a single text with caches of ``ROOM`` tokens or for any shapes."""
        model = self.model
        if alone:
            caches = [[1, heads, ROOM, size] for heads, size in self.graphs["caches"]]
            model = model.clone()
            model.reshape(dict(zip(model.inputs, ([1, 1], [1], *caches, *(list(each.shape) for each in self.seen)), strict=True)))
        step = self._compiled("step", model)
        pair = [step.create_infer_request() for _ in range(2)]
        self.gives |= {id(request): self._given(request) for request in pair if alone}
        return pair

    def _given(self, request: Any) -> list[Any]:
        return [request.get_output_tensor(number) for number in range(1, 1 + len(self.graphs["caches"]))]

    def spread(self, times: int) -> None:
        """Go on with so many rows for each image, before the first step."""
        if times > 1:
            self.seen = _rows(self.seen, np.repeat(np.arange(self.seen[0].shape[0]), times))

    def reorder(self, index: np.ndarray) -> None:
        """Let each row go on from the caches of the row whose number is in ``index``."""
        if (index != np.arange(len(index))).any():
            self.past = _rows(self.past, index)

    def step(self, ids: np.ndarray, position: int) -> np.ndarray:
        """Logits (B × vocabulary) after the tokens ids (B) at ``position``; what is returned may be written to."""
        if not self.past:
            self.begin()
        if position == self.past[0].shape[2]:
            self.past = [_twice(past) for past in self.past]
            self._go_on(alone=False)
        request = self.steps[0]
        if self.reads.get(id(request)) is not self.past:
            for number, past in enumerate(self.past, 2):
                request.set_input_tensor(number, past)
            self.reads[id(request)] = self.past
        _run(request, ids[:, None], np.array([position]))
        self.past = self.gives.get(id(request)) or self._given(request)
        self.steps.reverse()
        logits: np.ndarray = request.get_output_tensor(0).data.copy()
        return logits
