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
from vlmgate.backends.openvino_runner import FILES, GROUP, Runner, core, device, floats, group_size
from vlmgate.backends.weights import weigh
from vlmgate.models.graphs import Graphs
from vlmgate.spec import Variant, VlmgateError
from vlmgate.spec.names import unknown

VERSION = 5
KNOWN = ("precision", "step_precision", "encoder", "step", "smooth_quant", "group_size", "step_isa", "images", "tokens")
HOW = ("static-int8", "int8", "int4")  # how a step is compressed
INT8 = (1.0, 4.0)  # bytes a weight and a row: static quantization gives a row its scale in float32
WEIGHTED = ("FullyConnected", "Convolution")  # OpenVINO's names of products with a constant matrix
LOW = ("i8", "u8", "i4", "u4")  # and of types of 8 bits or fewer
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


def checked(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters of a ``graph`` step.

    Raises:
        VlmgateError: one that is unknown, or a value that is.
    """
    if odd := sorted(parameters.keys() - set(KNOWN)):
        raise VlmgateError(f"openvino: {unknown('parameter', odd[0], KNOWN)}")
    how = (parameters.get("encoder", "float"), parameters.get("step", "float"))
    if how != ("float", "float") and (how[0] != "static-int8" or how[1] not in HOW):
        raise VlmgateError(
            f"openvino: encoder and step are {how}; known are static-int8 with {', '.join(HOW)}, or neither of the two"
        )
    if not isinstance(smooth := parameters.get("smooth_quant", True), bool):
        raise VlmgateError(f"openvino: smooth_quant is {smooth!r}; it is true or false")
    size = parameters.get("group_size", GROUP)
    if not isinstance(size, int) or size < 0 or (how[1] == "int4" and (size == 0 or size % 16)):
        raise VlmgateError(
            f"openvino: group_size is {size!r}; it is a number, and a multiple of 16 with step: int4, such as {GROUP}"
        )
    if how[1] == "int4" and floats(parameters)["step"] != "f32":
        raise VlmgateError("openvino: a step in int4 quantizes float32 at run time; add step_precision: f32")
    return parameters


def precisions(variant: Variant) -> dict[str, dict[str, tuple[str, float]]]:
    """What is quantized statically multiplies in INT8; INT8 weights alone are only read so; the rest is as ``precision`` says.

    A step in INT4 multiplies in INT8 what it quantizes at run time, for which it has a group size.
    """
    parameters = checked(graph_parameters(variant))
    found = {}
    for graph, kind in floats(parameters).items():
        plain = ("bf16", 2.0) if kind == "bf16" else ("fp32", 4.0)
        of = {"static-int8": ("int8", 1.0), "int8": (plain[0], 1.0)}.get(str(parameters.get(graph)), plain)
        found[graph] = {"matrix": of, "conv": of, "activations": plain}
    if parameters.get("step") == "int4":
        found["step"] |= {"matrix": ("int8", _int4(parameters)), "head": ("int8", 1.0)}
    return found


def _int4(parameters: Mapping[str, Any]) -> float:
    """Bytes of a weight in INT4: half of one, and its part of its group's scale in float16."""
    return 0.5 + 2 / group_size(parameters)


def stored(variant: Variant) -> dict[str, dict[str, tuple[float, float]]] | None:
    """How weights stand in the file (see `vlmgate.backends.backend`); None for INT8 weights alone (NNCF chooses their scales)."""
    parameters = checked(graph_parameters(variant))
    static = dict.fromkeys(("matrix", "head", "conv", "embedding"), INT8)
    if parameters.get("smooth_quant", True):
        static["smoothing"] = (4.0, 0.0)
    known = {"float": {}, "static-int8": static}
    if parameters.get("step") == "int4":
        known["int4"] = {"matrix": (_int4(parameters), 0.0), "head": (1.0, 2.0), "embedding": (1.0, 2.0)}
    how = [str(parameters.get(graph, "float")) for graph in FILES]
    return {graph: known[each] for graph, each in zip(FILES, how, strict=True)} if set(how) <= set(known) else None


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
    return Runner(_read(folder), card, checked(graph_parameters(variant)))


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
    in INT8 with one scale a row, multiplied in float32. ``step`` int4: matrices in INT4, ``group_size`` weights of a row to a
    scale, multiplied with activations that OpenVINO quantizes at run time in groups of that size; embedding and head in INT8.
    Embedding and head share their matrix in each. ``smooth_quant``: whether static INT8 moves a part of the activations'
    range into the weights first (SmoothQuant, https://arxiv.org/abs/2211.10438; default: yes), which costs a product a column.

    Raises:
        VlmgateError: an unknown value.
    """
    how, smooth = checked(parameters).get("step", "float"), parameters.get("smooth_quant", True)
    if how == "float":
        return models
    import nncf

    nncf.set_log_level(logging.ERROR)
    (encoder, step), images = models, [each.numpy() for each in pixels(int(parameters.get("images", 32)))]
    if how == "int8":
        step = nncf.compress_weights(step, mode=nncf.CompressWeightsMode.INT8_SYM)
    elif how == "int4":
        step = _in_int4(step, group_size(parameters))
    else:
        runner, tokens = Runner(models, graphs.card(), {}), int(parameters.get("tokens", 8))
        seen = [given for image in images for given in spoken(runner, image, tokens)]
        step = _static(step, seen, smooth, keep=_of_activations(step))
        del seen, runner  # 2 GB for BLIP-base
    return [_static(encoder, [[image] for image in images], smooth), step]


def _in_int4(model: Any, group: int) -> Any:
    """Matrices in INT4, ``group`` weights of a row to a scale, embeddings and output layer in INT8.

    Raises:
        VlmgateError: the rows are no multiple of the group.
    """
    import nncf
    from nncf.errors import InvalidGroupSizeError

    modes = {"mode": nncf.CompressWeightsMode.INT4_SYM, "backup_mode": nncf.BackupMode.INT8_SYM}
    try:
        return nncf.compress_weights(model, group_size=group, **modes)
    except InvalidGroupSizeError as error:
        raise VlmgateError(
            f"openvino: group_size is {group}, of which the rows of a matrix are no multiple; "
            f"take one that divides them all ({error})"
        ) from error


def _static(model: Any, seen: list[list[np.ndarray]], smooth: bool, keep: Iterable[str] = ()) -> Any:
    """NNCF's post-training quantization on inputs that were seen, with or without SmoothQuant, but for the nodes in ``keep``."""
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, AdvancedSmoothQuantParameters

    more = {} if smooth else {"smooth_quant_alphas": AdvancedSmoothQuantParameters(matmul=-1, convolution=-1)}  # -1: none
    return nncf.quantize(
        model,
        nncf.Dataset(seen),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(seen),
        model_type=nncf.ModelType.TRANSFORMER,
        target_device=nncf.TargetDevice.CPU,
        ignored_scope=nncf.IgnoredScope(names=list(keep)),
        advanced_parameters=AdvancedQuantizationParameters(**more),
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


def executed(runner: Runner) -> list[tuple[str, str, str, str]]:
    """(graph, kind of node, kernel, type) of all that the last call ran, such as ``("step", "MatMul", "brgemm_avx512_f32",
    "f32")``; the type is OpenVINO's ``runtimePrecision``, of a product the narrowest that its kernel reads."""
    found = []
    for graph, request in zip(FILES, (runner.encoder, runner.steps[1]), strict=True):
        for node in request.get_compiled_model().get_runtime_model().get_ops():
            seen = node.get_rt_info()
            kind, kernel, type_ = (str(seen[name].astype(str)) for name in ("layerType", "primitiveType", "runtimePrecision"))
            found.append((graph, kind, kernel, type_))
    return found


def low_precision_kernels(runner: Runner) -> float:
    """Share of the products with weight matrices that the last call ran in 8 bits or fewer, by their number.

    Both graphs are counted. A kernel that reads compressed weights (``step`` int8 or int4) counts, although OpenVINO does not
    show in what it multiplies them: matrices that were turned into floats beforehand would have another one.
    """
    ran = [type_ in LOW for _, kind, _, type_ in executed(runner) if kind in WEIGHTED]
    return sum(ran) / len(ran)


def bf16_kernels(runner: Runner) -> float:
    """Share of the float nodes that the last call ran in bfloat16, by their number, in the graphs that are to be computed so."""
    nodes = ((graph, kernel.lower()) for graph, kind, kernel, _ in executed(runner) if kind not in HELD)
    ran = [name.endswith("bf16") for graph, name in nodes if runner.floats[graph] == "bf16" and name.endswith(("bf16", "f32"))]
    return sum(ran) / len(ran) if ran else 0.0


def constants(models: list[Any]) -> Iterator[tuple[int, int]]:
    """(bits a value, number of values) of the constants of the graphs; one that two nodes share comes once."""
    for model in models:
        for node in model.get_ordered_ops():
            if node.get_type_name() == "Constant":
                yield node.get_output_element_type(0).bitwidth, math.prod(node.get_output_shape(0))
