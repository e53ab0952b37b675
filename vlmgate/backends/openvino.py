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
from vlmgate.backends.openvino_runner import FILES, Runner, core, device, floats, group_size
from vlmgate.backends.weights import weigh
from vlmgate.models.graphs import Graphs
from vlmgate.spec import Variant, VlmgateError

VERSION = 5
INT4 = "int4"  # what `mlp` may be
WEIGHTED = ("FullyConnected", "Convolution")  # OpenVINO's names of products with a constant matrix
HELD = ("Const", "Input", "Output")  # and of nodes that compute nothing


def missing(variant: Variant, build: bool = True) -> str:
    """Why this cannot run here, or an empty string; without ``build`` nothing is compressed."""
    parameters = graph_parameters(variant)
    needs = ("openvino", "nncf") if build and "encoder" in parameters else ("openvino",)
    if lacks := next((name for name in needs if find_spec(name) is None), ""):
        return f"needs {lacks}: pip install 'vlmgate[openvino]'"
    asked = (_without_bf16(device(graph, parameters)) for graph, kind in floats(parameters).items() if kind == "bf16")
    return next(filter(None, asked), "")


def _without_bf16(name: str) -> str:
    """Why graphs on a device cannot be computed in bfloat16, or an empty string. With AVX-512 alone OpenVINO would imitate it."""
    if "BF16" in core().get_property(name, "OPTIMIZATION_CAPABILITIES"):
        return ""
    kept = f" in {name}, to which step_isa keeps the step" if name != "CPU" else ""
    return f"needs a CPU with bfloat16 (avx512_bf16 or AMX); OpenVINO sees none{kept}"


def versions() -> dict[str, str]:
    """Versions that an artefact depends on."""
    return {name: version(name) for name in ("openvino", "nncf") if find_spec(name)}


def precisions(variant: Variant) -> dict[str, dict[str, tuple[str, float]]]:
    """What is quantized statically multiplies in INT8; INT8 weights alone are only read so; the rest is as ``precision`` says.

    MLPs in INT4 are taken to multiply in INT8, for which they have a group size: OpenVINO's executed graph shows their results,
    which are floats, and not what it multiplies.
    """
    parameters = graph_parameters(variant)
    found = {}
    for graph, kind in floats(parameters).items():
        plain = ("bf16", 2.0) if kind == "bf16" else ("fp32", 4.0)
        of = {"static-int8": ("int8", 1.0), "int8": (plain[0], 1.0)}.get(str(parameters.get(graph)), plain)
        found[graph] = {"matrix": of, "conv": of, "activations": plain}
    if "mlp" in parameters:  # half a byte, and a scale in float16 a group
        found["step"]["mlp"] = ("int8", 0.5 + 2 / group_size(parameters))
    return found


def stored(variant: Variant) -> dict[str, set[str]] | None:
    """Weights that stand in the file in INT8, with a scale a row, and ``mlp`` where the step's MLPs stand there in INT4; None for
    compressed weights (NNCF chooses their scales)."""
    parameters = graph_parameters(variant)
    how = {graph: str(parameters.get(graph, "float")) for graph in FILES}
    if not set(how.values()) <= {"float", "static-int8"}:
        return None
    found = {
        graph: {"matrix", "conv", "embedding", "smoothing"} if each == "static-int8" else set() for graph, each in how.items()
    }
    found["step"] |= {"mlp"} if "mlp" in parameters else set()
    return found


def build(graphs: Graphs, variant: Variant, folder: Path, pixels: Pixels) -> tuple[dict[str, float], Runner]:
    """Convert both graphs, write them to ``folder`` and return exact metrics and a runner of what is in memory."""
    import openvino

    parameters = graph_parameters(variant)
    models = compress(convert(graphs), graphs, parameters, pixels)
    for name, model in zip(FILES, models, strict=True):
        openvino.save_model(model, folder / f"{name}.xml", compress_to_fp16=False)
    return weighed(folder), Runner(models, graphs.card(), parameters)


def load(folder: Path, card: Mapping[str, Any], variant: Variant) -> Runner:
    """The runner of what `build` wrote."""
    return Runner(_read(folder), card, graph_parameters(variant))


def weighed(folder: Path) -> dict[str, float]:
    """What the constants in the files of `build` weigh."""
    return weigh(constants(_read(folder)))


def _read(folder: Path) -> list[Any]:
    return [core().read_model(folder / f"{name}.xml") for name in FILES]


def convert(graphs: Graphs) -> list[Any]:
    """Encoder and step as OpenVINO models in FP32, with named inputs and outputs and the batch left open."""
    import openvino

    past, image, present = graphs.names()
    graphs.step.fixed = graphs.encoder.apart = True
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


def compress(models: list[Any], graphs: Graphs, parameters: Mapping[str, Any], pixels: Pixels) -> list[Any]:
    """Encoder and step as the parameters say.

    ``static-int8``: NNCF's post-training quantization (weights: one scale a row; activations: one a tensor), calibrated on
    ``images`` training images, the step on the first ``tokens`` tokens that the float graphs say of them. ``step`` int8: matrices
    in INT8 with one scale a row, which are multiplied in float32. Embedding and head share their matrix either way. ``mlp`` int4:
    the matrices of the step's MLPs in INT4, ``group_size`` weights of a row to a scale; OpenVINO quantizes what it multiplies
    them with at run time, in groups of that size.

    Raises:
        VlmgateError: an unknown value.
    """
    how = (parameters.get("encoder", "float"), parameters.get("step", "float"))
    if parameters.get("mlp", INT4) != INT4 or ("mlp" in parameters and how[1] != "static-int8"):
        raise VlmgateError(f"openvino: mlp is {parameters['mlp']!r}; known is {INT4}, with step: static-int8")
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
        runner, tokens = Runner(models, graphs.card(), {}), int(parameters["tokens"])
        apart = _products(step, graphs.mlps) if "mlp" in parameters else []
        seen = [given for image in images for given in spoken(runner, image, tokens)]
        step = _static(step, seen, keep=[*_of_activations(step), *apart])
        del seen, runner  # 2 GB for BLIP-base
        step = _int4(step, apart, group_size(parameters)) if apart else step
    return [_static(encoder, [[image] for image in images]), step]


def _products(model: Any, modules: Iterable[str]) -> list[str]:
    """Names of the nodes that multiply with the matrices of these modules of the torch graph."""
    begin = tuple(f"__module.{name}/" for name in modules)
    names = [node.get_friendly_name() for node in model.get_ops() if node.get_type_name() == "MatMul"]
    return [name for name in names if name.startswith(begin)]


def _int4(model: Any, products: list[str], group: int) -> Any:
    """The matrices of these products in INT4, ``group`` weights to a scale; all other weights as they are."""
    import nncf

    others = [node.get_friendly_name() for node in model.get_ops() if node.get_type_name() in ("MatMul", "Gather")]
    return nncf.compress_weights(
        model,
        mode=nncf.CompressWeightsMode.INT4_SYM,
        group_size=group,
        all_layers=True,
        ignored_scope=nncf.IgnoredScope(names=[name for name in others if name not in products]),
    )


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


def spoken(runner: Runner, pixels: np.ndarray, tokens: int) -> Iterator[list[np.ndarray]]:
    """Inputs of the step for each of the first tokens of the caption (greedy, whether it has ended or not)."""
    runner.look(pixels)
    runner.begin()
    image = [given.data.copy() for given in runner.image()]
    ids = np.full(len(pixels), runner.graphs["start"], np.int64)
    for position in range(tokens):
        yield [ids[:, None], np.array([position]), *(past.data.copy() for past in runner.past), *image]
        ids = runner.step(ids, position).argmax(-1)


def executed(runner: Runner) -> list[tuple[str, str, str]]:
    """(graph, kind of node, kernel) of all that the last call ran, such as ``("step", "MatMul", "brgemm_avx512_f32")``."""
    found = []
    for graph, request in zip(FILES, (runner.encoder, runner.steps[1]), strict=True):
        for node in request.get_compiled_model().get_runtime_model().get_ops():
            seen = node.get_rt_info()
            found.append((graph, str(seen["layerType"].astype(str)), str(seen["primitiveType"].astype(str))))
    return found


def low_precision_kernels(runner: Runner) -> float:
    """Share of the products with weight matrices that the last call ran in 8 bits or fewer, by their number.

    Both graphs are counted. INT8 matrices that are turned into floats before they are multiplied count as floats.
    """
    ran = [kernel.lower().endswith("i8") for _, kind, kernel in executed(runner) if kind in WEIGHTED]
    return sum(ran) / len(ran)


def bf16_kernels(runner: Runner) -> float:
    """Share of the float nodes that the last call ran in bfloat16, by their number, in the graphs that are to be computed so."""
    nodes = ((graph, kernel.lower()) for graph, kind, kernel in executed(runner) if kind not in HELD)
    ran = [name.endswith("bf16") for graph, name in nodes if runner.floats[graph] == "bf16" and name.endswith(("bf16", "f32"))]
    return sum(ran) / len(ran) if ran else 0.0


def constants(models: list[Any]) -> Iterator[tuple[int, int]]:
    """(bits a value, number of values) of the constants of the graphs; one that two nodes share comes once."""
    for model in models:
        for node in model.get_ordered_ops():
            if node.get_type_name() == "Constant":
                yield node.get_output_element_type(0).bitwidth, math.prod(node.get_output_shape(0))
