"""ONNX Runtime on the CPU: both graphs exported by torch, saved as ONNX files, run with the job's number of threads.

Sources: https://docs.pytorch.org/docs/stable/onnx.html and https://onnxruntime.ai/docs/api/python/api_summary.html
"""

import contextlib
import io
import logging
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from vlmgate.backends import graph_parameters
from vlmgate.backends.calibration import Pixels
from vlmgate.backends.onnx_int8 import quantize
from vlmgate.backends.onnx_profile import low_share, watch
from vlmgate.backends.weights import weigh
from vlmgate.models.graphs import Graphs
from vlmgate.spec import Variant, VlmgateError
from vlmgate.spec.names import unknown

VERSION = 3
FILES = ("encoder.onnx", "step.onnx")
NEEDS = ("onnxruntime", "onnx", "onnxscript")  # the last two to export


def missing(variant: Variant, build: bool = True) -> str:
    """Why this cannot run here, or an empty string; without ``build`` nothing is exported."""
    lacks = next((name for name in NEEDS[: None if build else 1] if find_spec(name) is None), "")
    return f"needs {lacks}: pip install 'vlmgate[onnx]'" if lacks else ""


def versions() -> dict[str, str]:
    """Versions that an artefact depends on."""
    return {name: version(name) for name in NEEDS}


def precisions(variant: Variant) -> dict[str, dict[str, tuple[str, float]]]:
    """Matrices in INT8 where that is asked for (4 bytes of scale a column are next to nothing), all else in float32."""
    float32 = ("fp32", 4.0)
    matrix = ("int8", 1.0) if in_int8(variant) else float32
    return {graph: {"matrix": matrix, "conv": float32, "activations": float32} for graph in ("encoder", "step")}


def stored(variant: Variant) -> dict[str, dict[str, tuple[float, float]]]:
    """How weights stand in the file (see `vlmgate.backends.backend`)."""
    return {graph: dict.fromkeys(("matrix", "head"), (1.0, 4.0)) if in_int8(variant) else {} for graph in ("encoder", "step")}


def in_int8(variant: Variant) -> bool:
    """Whether matrices are to be in INT8.

    Raises:
        VlmgateError: an unknown parameter or value, which would leave the graphs in float32.
    """
    parameters = graph_parameters(variant)
    if odd := sorted(parameters.keys() - {"weights"}):
        raise VlmgateError(f"onnx: {unknown('parameter', odd[0], ['weights'])}")
    if parameters.get("weights", "int8") != "int8":
        raise VlmgateError(f"onnx: weights are {parameters['weights']!r}; known is int8, or leave it out for float32")
    return "weights" in parameters


def build(graphs: Graphs, variant: Variant, folder: Path, pixels: Pixels) -> tuple[dict[str, float], "Runner"]:
    """Export both graphs, write them to ``folder`` and return exact metrics and a runner of what is in memory."""
    int8, protos = in_int8(variant), export(graphs)
    models = [(quantize(proto) if int8 else proto).SerializeToString() for proto in protos]
    for name, model in zip(FILES, models, strict=True):
        (folder / name).write_bytes(model)
    return weighed(folder), Runner(models, graphs.card(), graph_parameters(variant))


def weighed(folder: Path) -> dict[str, float]:
    """What the constants in the files of `build` weigh; nothing where the package that reads them is not installed."""
    if find_spec("onnx") is None:
        return {}
    import onnx

    return weigh(constants(onnx.load(folder / name, load_external_data=False) for name in FILES))


def load(folder: Path, card: Mapping[str, Any], variant: Variant) -> "Runner":
    """The runner of what `build` wrote."""
    return Runner([str(folder / name) for name in FILES], card, graph_parameters(variant))


def export(graphs: Graphs) -> list[Any]:
    """Encoder and step as ONNX models in FP32, with named inputs and outputs and the batch left open."""
    past, image, present = graphs.names()
    batch = torch.export.Dim("batch", min=1, max=4096)
    length = torch.export.Dim("length", min=1, max=graphs.positions - 1)
    held = ({0: batch, 2: length},) * len(past) + ({0: batch},) * len(image)
    noise = torch.zeros(2, 3, graphs.side, graphs.side)
    tokens, logits = ["ids", "position", *past, *image], ["logits", *present]
    return [
        _exported(graphs.encoder, (noise,), ["pixels"], image, ({0: batch},)),
        _exported(graphs.step, graphs.example(), tokens, logits, ({0: batch}, {}, held)),
    ]


def _exported(module: Any, inputs: Any, names: list[str], given: list[str], shapes: Any) -> Any:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of axis names that follow from others
        logger.setLevel(logging.ERROR)
        try:
            program = torch.onnx.export(
                module, inputs, input_names=names, output_names=given, dynamic_shapes=shapes, dynamo=True, verbose=False
            )
        finally:
            logger.setLevel(level)
    assert program is not None  # torch: None only where a file name is given
    return program.model_proto


def constants(models: Iterable[Any]) -> Iterator[tuple[int, int]]:
    """(bits a value, number of values) of the initialisers of the graphs."""
    from onnx.helper import tensor_dtype_to_np_dtype

    for model in models:
        for each in model.graph.initializer:
            yield 8 * tensor_dtype_to_np_dtype(each.data_type).itemsize, math.prod(each.dims)


def low_precision_kernels(runner: "Runner") -> float:
    """Share of the products with weight matrices that ran in INT8, by their number, in a call of both graphs that is profiled.

    The sessions are opened anew for it, with the same optimizations: those of ``runner`` go on unwatched.
    """
    graphs = runner.graphs
    with TemporaryDirectory() as folder:
        watched = Runner(runner.models, graphs, {}, Path(folder))
        watched.look(np.zeros((1, 3, graphs["side"], graphs["side"]), np.float32))
        watched.step(np.array([graphs["start"]]), 0)
        return low_share([watched.encoder, watched.decoder])


class Runner:
    """Both graphs in sessions of ONNX Runtime; caches are handed from step to step without a copy.

    With a folder as ``profile`` the sessions write down there what they run.
    """

    def __init__(
        self, models: list[Any], graphs: Mapping[str, Any], parameters: Mapping[str, Any], profile: Path | None = None
    ) -> None:
        import onnxruntime

        sessions = []
        for name, model in zip(FILES, models, strict=True):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            options.inter_op_num_threads = 1
            options = watch(options, profile / name) if profile else options
            sessions.append(onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]))
        self.encoder, self.decoder = sessions
        self.models = models
        self.graphs, self.value = graphs, onnxruntime.OrtValue.ortvalue_from_numpy
        self.names = [each.name for each in self.decoder.get_inputs()]

    def look(self, pixels: np.ndarray) -> None:
        """Run the encoder on pixels (B × 3 × side × side) and forget all earlier tokens."""
        self.image = list(self.encoder.run_with_ort_values(None, {"pixels": self.value(pixels)}))
        empty = [np.zeros((len(pixels), heads, 0, size), np.float32) for heads, size in self.graphs["caches"]]
        self.past = [self.value(past) for past in empty]

    def spread(self, times: int) -> None:
        """Go on with so many rows for each image, before the first step."""
        self.image, self.past = (
            [self.value(np.repeat(each.numpy(), times, 0)) for each in held] for held in (self.image, self.past)
        )

    def reorder(self, index: np.ndarray) -> None:
        """Let each row go on from the caches of the row whose number is in ``index``."""
        if (index != np.arange(len(index))).any():
            self.past = [self.value(each.numpy()[index]) for each in self.past]

    def step(self, ids: np.ndarray, position: int) -> np.ndarray:
        """Logits (B × vocabulary) after the tokens ids (B) at ``position``; what is returned may be written to."""
        given = [self.value(ids[:, None]), self.value(np.array([position])), *self.past, *self.image]
        logits, *self.past = self.decoder.run_with_ort_values(None, dict(zip(self.names, given, strict=True)))
        return np.array(logits.numpy())
