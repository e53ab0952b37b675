"""OpenVINO on the CPU: both graphs converted from torch, saved as OpenVINO IR, run with the job's number of threads.

Sources: https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/cpu-device.html
"""

import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vlmgate.backends import graph_parameters
from vlmgate.backends.calibration import Pixels
from vlmgate.backends.weights import weigh
from vlmgate.models.graphs import Graphs
from vlmgate.spec import Variant, VlmgateError

VERSION = 3
FILES = ("encoder", "step")
WEIGHTED = ("FullyConnected", "Convolution")  # OpenVINO's names of products with a constant matrix


def missing(variant: Variant) -> str:
    """Why this cannot run here, or an empty string."""
    parameters = graph_parameters(variant)
    needs = ("openvino", "nncf") if "encoder" in parameters else ("openvino",)
    if lacks := next((name for name in needs if find_spec(name) is None), ""):
        return f"needs {lacks}: pip install 'vlmgate[openvino]'"
    return _without_bf16() if "bf16" in _floats(parameters).values() else ""


def _floats(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Graph → type in which its float nodes compute, f32 or bf16."""
    plain = str(parameters.get("precision", "f32"))
    return {"encoder": plain, "step": str(parameters.get("step_precision", plain))}


def _without_bf16() -> str:
    import openvino

    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "" if "BF16" in able else "needs a CPU with bfloat16 (avx512_bf16 or AMX); OpenVINO sees none"


def versions() -> dict[str, str]:
    """Versions that an artefact depends on."""
    return {name: version(name) for name in ("openvino", "nncf") if find_spec(name)}


def precisions(variant: Variant) -> dict[str, dict[str, tuple[str, float]]]:
    """What is quantized statically multiplies in INT8; INT8 weights alone are only read so; the rest is as ``precision`` says."""
    parameters = graph_parameters(variant)
    found = {}
    for graph, kind in _floats(parameters).items():
        plain = ("bf16", 2.0) if kind == "bf16" else ("fp32", 4.0)
        of = {"static-int8": ("int8", 1.0), "int8": (plain[0], 1.0)}.get(str(parameters.get(graph)), plain)
        found[graph] = {"matrix": of, "conv": of, "activations": plain}
    return found


def stored(variant: Variant) -> dict[str, set[str]] | None:
    """Weights that stand in the file in INT8, with a scale a row; None for compressed weights (NNCF chooses their scales)."""
    how = {graph: str(graph_parameters(variant).get(graph, "float")) for graph in FILES}
    if not set(how.values()) <= {"float", "static-int8"}:
        return None
    return {
        graph: {"matrix", "conv", "embedding", "smoothing"} if each == "static-int8" else set() for graph, each in how.items()
    }


def build(graphs: Graphs, variant: Variant, folder: Path, pixels: Pixels) -> tuple[dict[str, float], "Runner"]:
    """Convert both graphs, write them to ``folder`` and return exact metrics and a runner of what is in memory."""
    import openvino

    parameters = graph_parameters(variant)
    models = compress(convert(graphs), graphs.card(), parameters, pixels)
    for name, model in zip(FILES, models, strict=True):
        openvino.save_model(model, folder / f"{name}.xml", compress_to_fp16=False)
    return weigh(constants(models)), Runner(models, graphs.card(), parameters)


def load(folder: Path, card: Mapping[str, Any], variant: Variant) -> "Runner":
    """The runner of what `build` wrote."""
    import openvino

    core = openvino.Core()
    return Runner([core.read_model(folder / f"{name}.xml") for name in FILES], card, graph_parameters(variant))


def convert(graphs: Graphs) -> list[Any]:
    """Encoder and step as OpenVINO models in FP32, with named inputs and outputs and the batch left open."""
    import openvino

    past, image, present = graphs.names()
    with torch.no_grad():
        encoder = openvino.convert_model(graphs.encoder, example_input=torch.zeros(2, 3, graphs.side, graphs.side))
        step = openvino.convert_model(graphs.step, example_input=graphs.example())
    encoder.reshape([-1, 3, graphs.side, graphs.side])
    for ports, names in (
        (encoder.inputs, ["pixels"]),
        (encoder.outputs, image),
        (step.inputs, ["ids", "position", *past, *image]),
        (step.outputs, ["logits", *present]),
    ):
        for port, name in zip(ports, names, strict=True):
            port.get_tensor().set_names({name})
    return [encoder, step]


def compress(models: list[Any], card: Mapping[str, Any], parameters: Mapping[str, Any], pixels: Pixels) -> list[Any]:
    """Encoder and step as the parameters say.

    ``static-int8``: NNCF's post-training quantization (weights: one scale a row; activations: one a tensor), calibrated on
    ``images`` training images, the step on the first ``tokens`` tokens that the float graphs say of them. ``step`` int8: matrices
    in INT8 with one scale a row, which are multiplied in float32. Embedding and head share their matrix either way.

    Raises:
        VlmgateError: an unknown value.
    """
    how = (parameters.get("encoder", "float"), parameters.get("step", "float"))
    if how == ("float", "float"):
        return models
    if how[0] != "static-int8" or how[1] not in ("static-int8", "int8"):
        raise VlmgateError(
            f"openvino: encoder and step are {how}; known are static-int8 with static-int8 or int8, or neither of the two"
        )
    import nncf

    nncf.set_log_level(logging.ERROR)
    (encoder, step), images = models, [each.numpy() for each in pixels(int(parameters["images"]))]
    if how[1] == "int8":
        step = nncf.compress_weights(step, mode=nncf.CompressWeightsMode.INT8_SYM)
    else:
        runner, tokens = Runner(models, card, {}), int(parameters["tokens"])
        step = _static(step, [given for image in images for given in spoken(runner, image, tokens)], keep=_of_activations(step))
    return [_static(encoder, [[image] for image in images]), step]


def _static(model: Any, seen: list[list[np.ndarray]], keep: Iterable[str] = ()) -> Any:
    """NNCF's post-training quantization on inputs that were seen, but for the nodes named in ``keep``."""
    import nncf

    return nncf.quantize(
        model,
        nncf.Dataset(seen),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(seen),
        model_type=nncf.ModelType.TRANSFORMER,
        target_device=nncf.TargetDevice.CPU,
        ignored_scope=nncf.IgnoredScope(names=list(keep)),
    )


def _of_activations(model: Any) -> list[str]:
    """Products of two activations: a key or value cache in INT8 would be quantized anew for every token."""
    products = [node for node in model.get_ops() if node.get_type_name() == "MatMul"]
    return [each.get_friendly_name() for each in products if each.input_value(1).get_node().get_type_name() != "Constant"]


def spoken(runner: "Runner", pixels: np.ndarray, tokens: int) -> Iterator[list[np.ndarray]]:
    """Inputs of the step for each of the first tokens of the caption (greedy, whether it has ended or not)."""
    runner.look(pixels)
    image = [given.data.copy() for given in runner.image()]
    ids = np.full(len(pixels), runner.graphs["start"], np.int64)
    for position in range(tokens):
        yield [ids[:, None], np.array([position]), *(past.data.copy() for past in runner.past), *image]
        ids = runner.step(ids, position).argmax(-1)


def executed(runner: "Runner") -> list[tuple[str, str, str]]:
    """(graph, kind of node, kernel) of all that the last call ran, such as ``("step", "MatMul", "brgemm_avx512_f32")``."""
    found = []
    for graph, request in zip(FILES, (runner.encoder, runner.steps[1]), strict=True):
        for node in request.get_compiled_model().get_runtime_model().get_ops():
            seen = node.get_rt_info()
            found.append((graph, str(seen["layerType"].astype(str)), str(seen["primitiveType"].astype(str))))
    return found


def low_precision_kernels(runner: "Runner") -> float:
    """Share of the products with weight matrices that the last call ran in 8 bits or fewer, by their number.

    Both graphs are counted. INT8 matrices that are turned into floats before they are multiplied count as floats.
    """
    ran = [kernel.lower().endswith("i8") for _, kind, kernel in executed(runner) if kind in WEIGHTED]
    return sum(ran) / len(ran)


def constants(models: list[Any]) -> Iterator[tuple[int, int]]:
    """(bits a value, number of values) of the constants of the graphs; one that two nodes share comes once."""
    for model in models:
        for node in model.get_ordered_ops():
            if node.get_type_name() == "Constant":
                yield node.get_output_element_type(0).bitwidth, math.prod(node.get_output_shape(0))


def _rows(tensors: Iterable[Any], index: np.ndarray) -> list[Any]:
    """Copies of these rows of each tensor."""
    import openvino

    return [openvino.Tensor(each.data[index]) for each in tensors]


class Runner:
    """Both graphs compiled for the CPU.

    Two requests of the step take turns, so that the caches which one gave are what the other reads, without a copy.
    """

    def __init__(self, models: list[Any], graphs: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        import openvino
        from openvino import properties

        settings = {
            properties.inference_num_threads(): torch.get_num_threads(),
            properties.hint.performance_mode(): properties.hint.PerformanceMode.LATENCY,
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": str(parameters.get("group_size", 0)),
        }
        core, kinds = openvino.Core(), _floats(parameters)
        encoder, step = (
            core.compile_model(model, "CPU", settings | {properties.hint.inference_precision(): kinds[graph]})
            for graph, model in zip(FILES, models, strict=True)
        )
        self.encoder, self.steps = encoder.create_infer_request(), [step.create_infer_request() for _ in range(2)]
        self.graphs = graphs

    def look(self, pixels: np.ndarray) -> None:
        """Run the encoder on pixels (B × 3 × side × side) and forget all earlier tokens."""
        import openvino

        self.encoder.infer([pixels], share_inputs=True, share_outputs=True)
        self._see(self.image())
        empty = ((len(pixels), heads, 0, size) for heads, size in self.graphs["caches"])
        self.past = [openvino.Tensor(np.zeros(shape, np.float32)) for shape in empty]

    def image(self) -> list[Any]:
        """Keys and values of the images that the encoder saw last, a row an image."""
        return [self.encoder.get_output_tensor(number) for number in range(len(self.graphs["caches"]))]

    def _see(self, image: list[Any]) -> None:
        """Let every step read these keys and values of the image."""
        for request in self.steps:
            for number, given in enumerate(image, 2 + len(image)):
                request.set_input_tensor(number, given)

    def spread(self, times: int) -> None:
        """Go on with so many rows for each image, before the first step."""
        image = self.image()
        index = np.repeat(np.arange(image[0].shape[0]), times)
        self._see(_rows(image, index))
        self.past = _rows(self.past, index)

    def reorder(self, index: np.ndarray) -> None:
        """Let each row go on from the caches of the row whose number is in ``index``."""
        if (index != np.arange(len(index))).any():
            self.past = _rows(self.past, index)

    def step(self, ids: np.ndarray, position: int) -> np.ndarray:
        """Logits (B × vocabulary) after the tokens ids (B) at ``position``; what is returned may be written to."""
        request = self.steps[0]
        for number, past in enumerate(self.past, 2):
            request.set_input_tensor(number, past)
        request.infer({0: ids[:, None], 1: np.array([position])}, share_outputs=True)
        self.past = [request.get_output_tensor(number) for number in range(1, 1 + len(self.past))]
        self.steps.reverse()
        logits: np.ndarray = request.get_output_tensor(0).data.copy()
        return logits
